"""Readiness: every dependency asked at once, and not more than once a second."""

import asyncio
import time
from collections.abc import Callable, Mapping

from api.ports import Dependency
from domain.health import Check, Health

PATIENCE_S = 1.0
FRESH_S = 1.0


class Readiness:
    """`drain` makes it not ready for good, so that a load balancer looks elsewhere before the server stops."""

    def __init__(self, dependencies: Mapping[str, Dependency], clock: Callable[[], float] = time.monotonic) -> None:
        self._dependencies = dependencies
        self._clock = clock
        self._asked_at = -FRESH_S
        self._known = Health(ready=False, checks={"server": Check(ok=False, detail="not asked yet")})
        self._asking = asyncio.Lock()
        self._draining = False

    def drain(self) -> None:
        self._draining = True

    @property
    def known(self) -> Health:
        """The last answer of `health`, without asking."""
        if self._draining:
            return Health(ready=False, checks={"server": Check(ok=False, detail="the server is stopping")})
        return self._known

    async def health(self) -> Health:
        """An unessential dependency (Redis, ClickHouse) that is down is shown, and the process stays ready."""
        async with self._asking:
            if self._clock() - self._asked_at >= FRESH_S:
                self._known = await self._ask()
                self._asked_at = self._clock()
        return self.known

    async def _ask(self) -> Health:
        checks = await asyncio.gather(*(_answer(one) for one in self._dependencies.values()))
        named = dict(zip(self._dependencies, checks, strict=True))
        ready = all(named[name].ok or not one.essential for name, one in self._dependencies.items())
        return Health(ready=ready, checks=named)


async def _answer(dependency: Dependency) -> Check:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await dependency.check()
    except TimeoutError:
        return Check(ok=False, detail=f"no answer within {PATIENCE_S:.0f} s")
    except Exception as error:  # noqa: BLE001 - whatever a client library raises means that it does not work
        return Check(ok=False, detail=type(error).__name__)
