"""Providers are used at their limit, not over it: three workers, one bucket in Redis, a provider over HTTP."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from agents.infer.handler import Infer
from connectors.llm.direct import DirectModel
from connectors.redis.client import RedisClient
from connectors.redis.pacer import RedisPacer
from domain.admission.prepare import Preparer
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from tests.conftest import Engines
from tests.line.memory_line import TEMPLATES, MemoryLine, request

pytestmark = pytest.mark.integration


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


@pytest.fixture
async def provider(engines: Engines) -> AsyncIterator[Told]:
    async with aiohttp.ClientSession() as session:
        told = Told(f"{engines.provider_url.removesuffix('/v1')}/control", session)
        await told.reset()
        yield told
        await told.reset()


@pytest.fixture
async def line(engines: Engines, redis_url: str) -> AsyncIterator[PacedLine]:
    client, model = RedisClient(redis_url, timeout_s=5), DirectModel()
    yield PacedLine(engines.provider_url, client, model)
    await model.close()
    await client.close()


async def answered(line: PacedLine, count: int, meanwhile: Awaitable[None] | None = None, **more: Any) -> float:
    """`count` requests at once through three workers: seconds until the last is answered."""
    workers = [await line.infer(name) for name in ("w1", "w2", "w3")]
    await line.intake().handle_batch([line.publish(request(f"r{n}", cache="bypass", **more)) for n in range(count)])
    began = time.monotonic()
    async with asyncio.timeout(20):
        await line.run(workers, lambda: len(line.broker.values("prompt.results")) == count, meanwhile)
    return time.monotonic() - began


async def test_L6_twenty_a_second_two_hundred_at_once_three_workers(line: PacedLine, provider: Told) -> None:
    await provider.tell(requests_per_second=20, latency_ms={"mean": 50})
    seconds = await answered(line, 200)
    counted = await provider.counters()
    assert (counted["ok"], {row["status"] for row in line.out("prompt.results")}) == (200, {"completed"})
    assert counted["rate_limited"] <= 5
    assert seconds <= 11.5
    reasons = {event["data"]["reason"] for event in line.out("prompt.events")}
    assert reasons == {"pacing"}


async def test_a_limit_that_drops_to_half_wastes_at_most_ten_calls(line: PacedLine, provider: Told) -> None:
    await provider.tell(requests_per_second=20, latency_ms={"mean": 50})

    async def drop() -> None:
        await asyncio.sleep(2.0)
        await provider.tell(requests_per_second=10)

    await answered(line, 100, drop())
    counted = await provider.counters()
    assert counted["ok"] == 100
    assert counted["rate_limited"] <= 10
