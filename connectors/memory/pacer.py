"""The in-memory twin of the fleet's pace: one process, the same rule."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence

from domain.pacing.bucket import Bucket, advance, hear, send_away
from domain.pacing.model import Ask, Grant, Mode
from domain.pacing.share import Others, grant

FRESH_S = 1.0


class MemoryPacer:
    """Implements Pacer. `clock` gives seconds; `wipe` forgets everything, as a lost Redis does (rule D2)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}
        self._waiting: dict[str, dict[str, tuple[float, list[int]]]] = defaultdict(dict)

    def wipe(self) -> None:
        self._buckets.clear()
        self._waiting.clear()

    async def pace(self, batch: Sequence[Ask]) -> list[Grant]:
        now = self._clock()
        return [self._one(ask, now) for ask in batch]

    def _one(self, ask: Ask, now: float) -> Grant:
        bucket = self._buckets.get(ask.deployment) or Bucket(at=now)
        advance(bucket, now, ask.went)
        for heard in ask.heard:
            hear(bucket, heard, now)
        if ask.heard or ask.away or any(ask.wanted) or bucket.mode is Mode.OPEN:
            self._buckets[ask.deployment] = bucket
        calls, again = grant(bucket, ask.wanted, self._others(ask, now), now)
        left = [len(lane) - n for lane, n in zip(ask.wanted, calls, strict=True)]
        waiting = self._waiting[ask.deployment]
        waiting.pop(ask.worker, None)
        if any(left):
            waiting[ask.worker] = (now, left)
        queue = sum(sum(counts) for _, counts in waiting.values())
        rate = bucket.rate if bucket.limited else 0.0
        back = send_away(bucket, ask.away, now)
        return Grant(bucket.mode, (calls[0], calls[1], calls[2]), again, rate, queue, back)

    def _others(self, ask: Ask, now: float) -> Others:
        waiting = self._waiting[ask.deployment]
        for worker in [one for one, (at, _) in waiting.items() if now - at > FRESH_S]:
            del waiting[worker]
        counts = [counts for worker, (_, counts) in waiting.items() if worker != ask.worker]
        return Others([sum(lane) for lane in zip(*counts, strict=True)] if counts else [0, 0, 0])
