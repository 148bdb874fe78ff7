"""The line in one process against the simulated provider over HTTP, with the fleet's pace in a real Redis."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp

from agents.infer.handler import Infer
from connectors.llm.direct import DirectModel
from connectors.redis.client import RedisClient
from connectors.redis.pacer import RedisPacer
from domain.admission.prepare import Preparer
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from tests.line.memory_line import TEMPLATES, MemoryLine


class PacedLine(MemoryLine):
    """Real time, a real provider, and the fleet's pace in a real Redis."""

    def __init__(self, provider: str, redis: RedisClient, model: DirectModel) -> None:
        super().__init__()
        self.now = self.clock()
        self.preparer = Preparer(Library.load([TEMPLATES]), Catalogue.simulated(provider), self.preparer.book)
        self.pacer = RedisPacer(redis)
        self.model = model  # type: ignore[assignment]

    def clock(self) -> datetime:
        return datetime.now(UTC)

    def seconds(self) -> float:
        return time.monotonic()

    def flowing(self) -> float:
        return time.monotonic()

    async def warm(self, name: str) -> None:
        """Nothing is known of the deployments."""

    async def run(self, workers: list[Infer], until: Callable[[], bool], meanwhile: Awaitable[None] | None) -> None:
        """Hand the calls of every lane to the workers in turn, and those that are due again, until it is over."""
        tasks = [asyncio.ensure_future(meanwhile)] if meanwhile else []
        wake, turn = self.wake(), 0
        while not until():
            for worker in workers:
                await worker._ports.lease._ledger.renew()
            await wake.wake_due()
            for delivery in [one for lane in ("interactive", "standard", "bulk") for one in self.calls(lane)]:
                tasks.append(asyncio.ensure_future(workers[turn % len(workers)].handle(delivery)))
                turn += 1
            await asyncio.sleep(0.02)
        await asyncio.gather(*tasks)


@dataclass
class Told:
    """The simulated provider's other door."""

    url: str
    session: aiohttp.ClientSession

    async def tell(self, **how: Any) -> None:
        async with self.session.post(self.url, json=how) as response:
            assert response.status == 200

    async def counters(self) -> dict[str, Any]:
        async with self.session.get(self.url) as response:
            return dict(await response.json())

    async def reset(self) -> None:
        async with self.session.delete(self.url):
            return
