"""What a schedule is made of: which requests, which workers, which faults when. All of it follows from one seed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Literal, TypeVar

T = TypeVar("T")

What = Literal[
    "plain",  # nothing special
    "fail",  # on_unknown_outcome: fail
    "deadline",  # one that may pass
    "refused",  # intake rejects it
    "again",  # the id of an earlier one, the same body
    "other",  # the id of an earlier one, another body
    "rerun",  # the id of an earlier one, the same body, rerun: true
    "twin",  # another id that asks the same: the cache may answer, or the call that is being made
    "cancel",  # no record: a client cancels an earlier one, claimed or not
]

FIRST: tuple[What, ...] = ("plain", "plain", "plain", "fail", "fail", "deadline", "refused")
LATER: tuple[What, ...] = (*FIRST, "again", "again", "other", "rerun", "twin", "twin", "twin", "cancel")

Answer = Literal["ok", "slow", "invalid", "limited", "timeout", "error", "refused_connection", "refusal"]
ANSWERS: tuple[Answer, ...] = ("ok", "slow", "slow", "invalid", "limited", "timeout", "error", "refused_connection")

Kind = Literal[
    "refuse",  # the operation has no effect, its caller hears Unavailable
    "lose",  # it takes effect, its caller hears Unavailable
    "late",  # its caller hears Unavailable, and later it takes effect after all
    "part",  # of a produce, some records become durable; its caller hears Unavailable
    "slow",  # its answer comes much later than its effect
    "kill",  # SIGKILL before its effect: the process is gone, its lease is left to expire; another one starts
    "kill after",
    "pause",  # SIGSTOP before its effect, for `seconds`, then SIGCONT
    "pause after",
    "away",  # the ledger is away for its process from now on, for `seconds`
    "outage",  # the ledger is away for everybody
    "rebalance",  # the partitions of its stage go to other members, or to the same ones again
    "wait",  # the clock moves on while operations are under way
]
LONGEST = (12.0, 12.0, 12.0, 12.0, 12.0, 15.0, 15.0, 15.0, 25.0, 60.0)
"""Seconds that what takes time may take."""
KINDS: tuple[Kind, ...] = (
    "refuse", "lose", "lose", "late", "part", "slow", "kill", "kill after", "pause", "pause after", "pause after",
    "away", "away", "outage", "rebalance", "rebalance", "rebalance", "wait",
)  # fmt: skip
PLACES = (
    "claim", "admit", "take", "take", "find", "call", "call", "call", "go_on", "settle", "settle", "park", "produce",
    "produce", "produce", "emitted", "renew", "wake", "stray", "unemitted", "overdue", "any",
)  # fmt: skip
"""Which operation a fault strikes: a verb of the ledger, a produce, a call of the provider, or whichever it is."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A record on prompt.requests; `at` is the step before which it is published, `of` the earlier one it repeats."""

    what: What
    at: int = 0
    of: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fault:
    """Strikes the operation `place` after `skip` others of its kind."""

    kind: Kind
    place: str
    skip: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule before it is run. `seed` decides the order of everything that the plan leaves open."""

    seed: int
    asks: tuple[Ask, ...]
    faults: tuple[Fault, ...] = ()
    answers: tuple[Answer, ...] = ()
    intakes: int = 1
    infers: int = 2
    per_minute: int = 600_000
    limit_usd: Decimal | None = None  # of the tenant's budget of the hour
    rejects: bool = True  # at that limit; else requests wait for the next hour

    def __str__(self) -> str:
        lines = [f"seed={self.seed} intakes={self.intakes} infers={self.infers} per_minute={self.per_minute}"]
        lines[0] += f" limit_usd={self.limit_usd} rejects={self.rejects}"
        lines += [f"  {ask}" for ask in self.asks]
        lines += [f"  {fault}" for fault in self.faults]
        return "\n".join([*lines, f"  answers={list(self.answers)}"])


def plan(seed: int) -> Plan:
    """The plan of a seed: one to three requests, none to six faults."""
    rng = Random(seed)
    asks = [Ask(_one(rng, FIRST), 0, 0, _seconds(rng))]
    while len(asks) < 3 and rng.random() < 0.25:
        asks.append(Ask(_one(rng, LATER), int(rng.random() * 30), int(rng.random() * len(asks)), _seconds(rng)))
    faults = [_fault(rng) for _ in range(int(rng.random() * 6))]
    answers = [_one(rng, ANSWERS) for _ in range(int(rng.random() * 4))]
    made = Plan(
        seed,
        tuple(asks),
        tuple(faults),
        tuple(answers),
        intakes=1 + (rng.random() < 0.3),
        infers=2 + (rng.random() < 0.2),
        per_minute=6 if rng.random() < 0.05 else 600_000,
    )
    if rng.random() < 0.25:
        return replace(made, limit_usd=_one(rng, LIMITS), rejects=rng.random() < 0.8)
    return made


LIMITS = (Decimal("0.001"), Decimal("0.004"), Decimal("0.007"), Decimal("0.013"), Decimal(1))
"""No call, one, two, one that escalates, any number: a call of the small model may cost 0.0026, of the large 0.042."""


def smaller(plan: Plan) -> list[Plan]:
    """Plans that leave one thing out, the largest step first."""
    fewer = [replace(plan, faults=_without(plan.faults, n)) for n in range(len(plan.faults))]
    fewer += [replace(plan, asks=_without(plan.asks, n)) for n in range(len(plan.asks)) if len(plan.asks) > 1]
    fewer += [replace(plan, answers=_without(plan.answers, n)) for n in range(len(plan.answers))]
    if plan.limit_usd is not None:
        fewer.append(replace(plan, limit_usd=None))
    if plan.intakes > 1:
        fewer.append(replace(plan, intakes=1))
    if plan.infers > 1:
        fewer.append(replace(plan, infers=plan.infers - 1))
    return fewer


def _fault(rng: Random) -> Fault:
    place = _one(rng, PLACES)
    skip = int(rng.random() * (40 if place == "any" else 4) * rng.random())
    return Fault(_one(rng, KINDS), place, skip, _seconds(rng))


def _seconds(rng: Random) -> float:
    """Up to a minute; mostly near what matters: 7 s of trust, 10 s of a lease, 12 s of a wait after an outage."""
    return rng.random() * LONGEST[int(rng.random() * len(LONGEST))]


def _one(rng: Random, among: Sequence[T]) -> T:
    return among[int(rng.random() * len(among))]


def _without(items: tuple[T, ...], n: int) -> tuple[T, ...]:
    return items[:n] + items[n + 1 :]
