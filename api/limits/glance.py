"""A look at the limits before any work is done. Only intake spends them; this saves a refused request its way."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from api import problems
from api.authentication import Caller
from api.limits.fields import headers, name_of
from api.problems import Problem
from domain.admission.model import Admission, Charge, Look
from domain.errors import Transient
from domain.ports import Limiter

FRESH_S = 0.1  # who had room a moment ago is not looked at again: intake rejects what slips through
MAX_REMEMBERED = 10_000
FULL_RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a caller's limits looked like at `at`, and the header fields that say so, also as ASGI has them."""

    look: Look
    headers: dict[str, str]
    raw_headers: tuple[tuple[bytes, bytes], ...]
    at: float


class Glance:
    """`clock` gives monotonic seconds."""

    def __init__(self, limiter: Limiter, clock: Callable[[], float] = time.monotonic) -> None:
        self._limiter = limiter
        self._clock = clock
        self._seen: dict[str, Seen] = {}
        self._looking: dict[str, asyncio.Task[Seen | None]] = {}

    async def check(self, caller: Caller) -> None:
        """Raises Problem (rate_limited) when the caller has no room now; a limiter that is down lets everybody pass."""
        seen = await self.look(caller)
        if seen is not None and not seen.look.admission.passes:
            raise rate_limited(caller, seen)

    async def look(self, caller: Caller) -> Seen | None:
        """As it was a moment ago at most; None when the limiter does not answer. Many who ask at once are one look."""
        seen = self.recent(caller)
        if seen is not None:
            return seen
        now = self._clock()
        looking = self._looking.get(caller.key.id)
        if looking is None:
            looking = self._looking[caller.key.id] = asyncio.ensure_future(self._look(caller, now))
            looking.add_done_callback(lambda _: self._looking.pop(caller.key.id, None))
        # whoever leaves takes nobody's look away
        return await asyncio.shield(looking)

    def recent(self, caller: Caller) -> Seen | None:
        """As it was a moment ago, if there was room. Asks nobody."""
        seen = self._seen.get(caller.key.id)
        if seen is not None and seen.look.admission.passes and self._clock() - seen.at < FRESH_S:
            return seen
        return None

    async def _look(self, caller: Caller, now: float) -> Seen | None:
        try:
            look = await self._limiter.peek(Charge(caller.limits, reject=True, tokens=1, gates=caller.gates))
        except Transient:
            return None
        if len(self._seen) >= MAX_REMEMBERED:
            self._seen.clear()
        told = headers(caller, look)
        raw = tuple((name.encode(), text.encode()) for name, text in told.items())
        seen = self._seen[caller.key.id] = Seen(look, told, raw, now)
        return seen


def rate_limited(caller: Caller, seen: Seen) -> Problem:
    """429, with when to come back and the fields of draft-ietf-httpapi-ratelimit-headers."""
    admission = seen.look.admission
    retry = problems.retry_header(admission.wait or FULL_RETRY_S)
    again = f"try again in {retry['retry-after']} s"
    return Problem("rate_limited", f"{_what(caller, seen.look, admission)}; {again}", headers={**retry, **seen.headers})


def _what(caller: Caller, look: Look, admission: Admission) -> str:
    if admission.gate is not None and admission.wait <= 0:
        return f"{admission.gate.places} calls are in flight, as many as may be at once"
    # the one that has least left is the one that holds up
    pairs = zip(caller.limits, look.left, strict=True)
    limit, _ = min(pairs, key=lambda pair: pair[1].remaining / pair[0].burst)
    return f"the limit of {limit.per_minute} {limit.unit} a minute of this {name_of(limit.key)} is used up"
