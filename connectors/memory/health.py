"""The in-memory twin of the fleet's view of its providers."""

import time
from collections.abc import Callable, Sequence

from domain.routing.breaker import PROBE_EVERY_S
from domain.routing.health import FRESH_S, Report


class MemoryHealthBoard:
    """Implements HealthBoard. `clock` gives seconds since 1970, as the reports do."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._reports: dict[tuple[str, str], Report] = {}
        self._down: dict[str, tuple[float, float]] = {}
        self._probed: dict[str, float] = {}

    async def tell(self, worker: str, reports: Sequence[Report]) -> None:
        self._reports.update({(worker, report.deployment): report for report in reports})

    async def look(self) -> list[Report]:
        since = self._clock() - FRESH_S
        return [report for report in self._reports.values() if report.at > since]

    async def down(self, deployments: Sequence[str]) -> dict[str, float]:
        now = self._clock()
        known = {name: self._down[name] for name in deployments if name in self._down}
        return {name: since for name, (since, until) in known.items() if until > now}

    async def take_down(self, deployment: str, since: float) -> bool:
        known = await self.down([deployment])
        self._down[deployment] = (known.get(deployment, since), self._clock() + FRESH_S)
        return not known

    async def keep_down(self, deployment: str) -> None:
        known = await self.down([deployment])
        if deployment in known:
            self._down[deployment] = (known[deployment], self._clock() + FRESH_S)

    async def bring_up(self, deployment: str) -> bool:
        known = await self.down([deployment])
        self._down.pop(deployment, None)
        return bool(known)

    async def probe(self, deployment: str) -> bool:
        now = self._clock()
        if now - self._probed.get(deployment, 0.0) < PROBE_EVERY_S:
            return False
        self._probed[deployment] = now
        return True
