"""Where a call goes: the strategy of its alias, what fits, and who is well, as this worker and the fleet see it.

Each worker has a breaker a deployment, which hears of every call. Once a second it tells the fleet and hears from it:
what one worker found to be down is down for all, and of all of them one sends the call that tries it again.
"""

import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

from domain.errors import ModelError
from domain.routing.breaker import Breaker
from domain.routing.choose import ordered, pick, price_of
from domain.routing.health import Report
from domain.routing.model import Alias, Deployment
from domain.routing.parts import length
from topics.call import PromptCall

CHARACTERS_A_TOKEN = 4
LAST_ANSWERS = 64
BACK_S = 2.0
PATIENT_S = 5.0
"""A refusal that is over sooner is waited for; nobody pays another model's price for it."""
_ITS_OWN = frozenset({400, 404, 409, 413, 422, 429})
"""Status codes that tell of the request or of its limit, not of the provider's health. 200 is an unreadable answer."""


@dataclass(slots=True)
class Seen:
    """What this worker sees of a deployment. `told` is what the fleet was told last: down or not.

    `slots` are held by deliveries that go there first; `trouble` is how the last call that failed did.
    """

    deployment: Deployment
    breaker: Breaker = field(default_factory=Breaker)
    took: deque[float] = field(default_factory=lambda: deque(maxlen=LAST_ANSWERS))
    told: bool = False
    slots: int = 0
    trouble: str = ""

    @property
    def p50(self) -> float | None:
        return median(self.took) if self.took else None


class Slot:
    """Of one delivery, at the deployment that it calls."""

    __slots__ = ("seen",)

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        seen.slots += 1

    def __enter__(self) -> "Slot":
        return self

    def __exit__(self, *_: object) -> None:
        self.seen.slots -= 1


class Routes:
    """`clock` gives seconds that only go on, `draw` numbers in [0, 1), `now` the time whose prices hold.

    `slots` are the worker's, 0: without bound.
    """

    def __init__(
        self,
        slots: int = 0,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._slots = slots
        self._clock = clock
        self._draw = draw
        self._now = now
        self.seen: dict[str, Seen] = {}

    def first(self, alias: Alias, call: PromptCall) -> Deployment:
        """Where the first attempt goes."""
        if len(alias.deployments) == 1:
            return alias.deployments[0]
        return pick(self._ordered(alias, call), self._allows)

    def other(self, alias: Alias, call: PromptCall, tried: Sequence[str], error: ModelError) -> Deployment | None:
        """Who can be asked instead in the same run, None where nobody can. The last of `tried` failed with `error`."""
        left = [one for one in self._ordered(alias, call) if one.name not in tried]
        if error.too_long:
            size = next((one.context_tokens for one in alias.deployments if one.name == tried[-1]), 0)
            left = [one for one in left if one.context_tokens > size]
        return next((one for one in left if self._allows(one)), None)

    def beside(self, alias: Alias, call: PromptCall, deployment: Deployment) -> list[Deployment]:
        """Who can be asked as well while that one is slow; nobody tries a deployment that is down in this way."""
        return [one for one in self._ordered(alias, call) if one.name != deployment.name and self.well(one)]

    def instead(self, alias: Alias, call: PromptCall, deployment: Deployment) -> list[Deployment]:
        """Who can be asked while that one is at its limit; what is in no hurry waits rather than pay more."""
        found = self.beside(alias, call, deployment)
        if call.lane != "bulk":
            return found
        size, at = (_tokens(call), call.parameters.get("max_tokens")), self._now()
        most = price_of(deployment, *size, at)
        return [one for one in found if price_of(one, *size, at) <= most]

    def well(self, deployment: Deployment) -> bool:
        """Whether it takes calls as usual; nobody tries one that is down by asking this."""
        seen = self.seen.get(deployment.name)
        return seen is None or (seen.breaker.opened is None and not self.full(deployment))

    def took(self, deployment: Deployment) -> Sequence[float]:
        """Seconds that its last answers took."""
        seen = self.seen.get(deployment.name)
        return seen.took if seen else ()

    def full(self, deployment: Deployment) -> bool:
        """Whether it holds as many of the slots as it may; a worker that calls nobody else gives it all of them."""
        seen = self.seen.get(deployment.name)
        if seen is None or len(self.seen) < 2 or not self._slots or seen.slots < self._slots // 2:
            return False
        return seen.slots >= seen.breaker.most_in_flight(self._clock(), self._slots)

    def slot(self, deployment: Deployment) -> Slot:
        """A delivery takes a slot, and will call it. It is free again at the end of the block."""
        return Slot(self._of(deployment))

    def move(self, slot: Slot, deployment: Deployment) -> None:
        """It will call that one instead."""
        slot.seen.slots -= 1
        slot.seen = self._of(deployment)
        slot.seen.slots += 1

    def back_in(self) -> float:
        """Seconds after which a call that found no slot comes again."""
        return BACK_S * (0.5 + self._draw())

    def sent(self, deployment: Deployment) -> None:
        self._of(deployment).breaker.sent(self._clock())

    def answered(self, deployment: Deployment, seconds: float) -> None:
        seen = self._of(deployment)
        seen.took.append(seconds)
        seen.breaker.answered(self._clock(), seconds)

    def failed(self, deployment: Deployment, error: ModelError) -> None:
        ours = error.status in _ITS_OWN or error.status == 200
        seen = self._of(deployment)
        # not the message: providers quote what they were asked
        seen.trouble = error.outcome if error.status is None else f"{error.outcome}, status {error.status}"
        seen.breaker.failed(self._clock(), ours)

    def left(self, deployment: Deployment, seconds: float) -> None:
        """A call was left after so many seconds: nobody knows what came of it, only that it took longer."""
        seen = self._of(deployment)
        if seen.p50 is not None and seconds > seen.p50:
            # who is left for being slow would make its deployment look fast otherwise
            seen.took.append(seconds)
        seen.breaker.failed(self._clock(), ours=True)

    def reports(self, worker: str, at: float) -> list[Report]:
        return [
            Report(
                one.deployment.name, worker, one.breaker.answers, one.breaker.failures,
                None if one.p50 is None else round(one.p50 * 1000), at,
            )
            for one in self.seen.values()
        ]  # fmt: skip

    def _of(self, deployment: Deployment) -> Seen:
        seen = self.seen.get(deployment.name)
        if seen is None:
            seen = self.seen[deployment.name] = Seen(deployment)
        return seen

    def _allows(self, deployment: Deployment) -> bool:
        seen = self.seen.get(deployment.name)
        return seen is None or (not self.full(deployment) and seen.breaker.allows())

    def _ordered(self, alias: Alias, call: PromptCall) -> list[Deployment]:
        p50: dict[str, float] = {}
        if alias.strategy == "fastest":
            p50 = {name: seen.p50 or 0.0 for name, seen in self.seen.items()}
        return ordered(alias, _tokens(call), call.parameters.get("max_tokens"), p50, self._draw(), self._now())


def _tokens(call: PromptCall) -> int:
    return sum(length(message.get("content", "")) for message in call.messages) // CHARACTERS_A_TOKEN


def may_move(error: ModelError, fail_on_unknown: bool) -> bool:
    """Whether another deployment may be asked after this failure.

    With `fail_on_unknown` only after what certainly was not worked on: a refused connection or a 429 (rule L9).
    """
    if fail_on_unknown and error.sent and error.outcome != "rate_limited":
        return False
    if error.outcome == "rate_limited" and error.retryable:
        return error.retry_after is not None and error.retry_after > PATIENT_S
    return error.retryable or error.elsewhere
