"""The in-memory twin of the Redis limiter: one process, the same rule."""

import time
from collections.abc import Callable, Sequence
from math import inf

from domain.admission import gcra
from domain.admission.model import Charge


class MemoryLimiter:
    """GCRA over a dictionary. `clock` gives seconds; `wipe` forgets everything, as a lost Redis does (rule D2)."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._booted = -inf
        self._tats: dict[str, float] = {}

    def wipe(self) -> None:
        self._tats.clear()
        self._booted = self._clock()

    async def admit(self, batch: Sequence[Charge]) -> list[float]:
        now = self._clock()
        return [self._admit(now, charge) for charge in batch]

    async def peek(self, charge: Charge) -> float:
        now = self._clock()
        return gcra.admission(now, charge.limits, self._known(charge)) - now

    def _admit(self, now: float, charge: Charge) -> float:
        wait, changed = gcra.admit(now, charge, self._known(charge))
        self._tats.update(changed)
        return wait

    def _known(self, charge: Charge) -> dict[str, float]:
        return {limit.key: self._tats.get(limit.key, gcra.unknown_tat(limit, self._booted)) for limit in charge.limits}
