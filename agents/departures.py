"""Tells the limiter of flights that are over or wait, many at a time.

Nobody waits for it: a place that is given back a moment later, or by the next look at those that went long ago
(agents/wake/lanes.py), is only held too long.
"""

import asyncio
from itertools import islice

import structlog

from domain.admission.model import Departure, Flight
from domain.errors import Unavailable
from domain.ports import Limiter
from topics.call import PromptCall

log = structlog.get_logger("departures")

EVERY = 0.05
AT_ONCE = 1_000
MOST = 100_000


class Departures:
    """Collects them over a moment. What cannot be told now is told later, up to MOST."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._waiting: dict[tuple[str, str], Departure] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, call: PromptCall, run: int, used: int | None) -> None:
        """`used` tokens at the end of a run, None where it waits."""
        if len(self._waiting) >= MOST:
            return
        flight = Flight(call.tenant, call.lane, call.id, run, call.api_key_id)
        self._waiting[flight.tenant, flight.member] = Departure(flight, used)
        if self._task is None:
            self._task = asyncio.ensure_future(self._later())

    async def flush(self) -> None:
        """Tell of all that wait."""
        while self._waiting:
            batch = list(islice(self._waiting.items(), AT_ONCE))
            try:
                await self._limiter.leave([departure for _, departure in batch])
            except Unavailable as error:
                log.warning("places_not_given_back", count=len(self._waiting), reason=str(error))
                return
            for name, departure in batch:
                if self._waiting.get(name) is departure:
                    del self._waiting[name]

    async def _later(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(EVERY)
                await self.flush()
        finally:
            self._task = None
