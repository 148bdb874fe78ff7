"""What a limit is, what asks to pass it, and what it answers. No I/O."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Limit:
    """`per_minute` on average, `burst` at once, of requests or of tokens.

    `key` starts with the tenant (`acme`, `acme/key/k1`, `acme/tokens`).
    """

    key: str
    per_minute: int
    burst: int
    unit: Literal["requests", "tokens"] = "requests"

    def cost(self, tokens: int) -> int:
        """What an event of so many tokens spends: at most the burst, for more could never pass."""
        return 1 if self.unit == "requests" else max(1, min(tokens, self.burst))


@dataclass(frozen=True, slots=True)
class Gate:
    """At most `places` calls at once in flight under `key`; None counts them only.

    With `rejects` an event that wants to be rejected at a limit is rejected here; a share of a lane is no limit of
    the caller's, it only makes it wait its turn.
    """

    key: str
    places: int | None
    rejects: bool = True


@dataclass(slots=True)
class Flight:
    """A call in flight: handed on, and neither over nor waiting."""

    tenant: str
    lane: str
    id: str
    run: int
    api_key_id: str | None = None

    @property
    def member(self) -> str:
        """Its name among the tenant's. The id comes last; nothing before it holds a space."""
        return f"{self.lane} {self.api_key_id or '-'} {self.run} {self.id}"

    @property
    def gates(self) -> tuple[str, ...]:
        """The keys of the gates it counts in."""
        return gate_keys(self.tenant, self.lane, self.api_key_id)

    @classmethod
    def of_member(cls, tenant: str, member: str) -> "Flight":
        lane, key, run, id = member.split(" ", 3)
        return cls(tenant, lane, id, int(run), None if key == "-" else key)


def gate_keys(tenant: str, lane: str, api_key_id: str | None) -> tuple[str, ...]:
    """Of the lane, the tenant, and the key if there is one."""
    of_all = (f"{tenant}/lane/{lane}", f"{tenant}/flights")
    return (*of_all, f"{tenant}/key/{api_key_id}/flights") if api_key_id else of_all


@dataclass(frozen=True, slots=True)
class Rules:
    """What a request of one tenant, key and lane must pass."""

    limits: tuple[Limit, ...]
    gates: tuple[Gate, ...] = ()
    count_tokens: bool = False


@dataclass(slots=True)
class Charge:
    """One event asks to pass all of `limits`, and its `flight` all of `gates`, which are those it counts in.

    With `reject` nothing is spent unless it may pass now. `tokens` is what it may use at most.
    """

    limits: tuple[Limit, ...]
    reject: bool = False
    tokens: int = 0
    gates: tuple[Gate, ...] = ()
    flight: Flight | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """Seconds until the event may pass, 0 is now; or the gate that has no place, as soon as there is one."""

    wait: float = 0.0
    gate: Gate | None = None

    @property
    def passes(self) -> bool:
        return self.wait <= 0 and self.gate is None


PASSES = Admission()


@dataclass(slots=True)
class Departure:
    """A flight that is over, having used so many tokens, or that waits (None): it gives back its places, and at its
    end the tokens that were reserved and not used."""

    flight: Flight
    used: int | None = None


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a limit: `remaining` of it now, all of it in `reset` seconds."""

    remaining: int
    reset: float


@dataclass(frozen=True, slots=True)
class Look:
    """What an event would meet now, what is left of each of its limits, and how many are in flight by its gates."""

    admission: Admission
    left: tuple[Left, ...] = ()
    in_flight: tuple[int, ...] = ()
