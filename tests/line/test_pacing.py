"""Providers are used at their limit, not over it: three workers, one bucket in Redis, a provider over HTTP."""

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

import pytest

from tests.line.memory_line import request
from tests.line.over_http import PacedLine, Told

pytestmark = pytest.mark.integration


async def answered(
    line: PacedLine, count: int, meanwhile: Awaitable[None] | None = None, first: int = 0, **more: Any
) -> float:
    """`count` requests at once through three workers: seconds until the last is answered."""
    workers = [await line.infer(name) for name in ("w1", "w2", "w3")]
    numbers = range(first, first + count)
    await line.intake().handle_batch([line.publish(request(f"r{n}", cache="bypass", **more)) for n in numbers])
    began = time.monotonic()
    async with asyncio.timeout(20):
        await line.run(workers, lambda: len(line.broker.values("prompt.results")) == first + count, meanwhile)
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


@pytest.mark.parametrize("tells", ["limits", "retry_after", "nothing"])
async def test_L6_a_limit_that_nobody_told_of_before_costs_few_calls(
    line: PacedLine, provider: Told, tells: str
) -> None:
    await provider.tell(latency_ms={"mean": 50})
    await answered(line, 1)
    await provider.tell(requests_per_second=20, tells=tells)
    await answered(line, 60, first=1)
    counted = await provider.counters()
    assert counted["ok"] == 61
    assert counted["rate_limited"] <= 10


async def test_a_limit_that_drops_to_half_wastes_at_most_ten_calls(line: PacedLine, provider: Told) -> None:
    await provider.tell(requests_per_second=20, latency_ms={"mean": 50})

    async def drop() -> None:
        await asyncio.sleep(2.0)
        await provider.tell(requests_per_second=10)

    await answered(line, 100, drop())
    counted = await provider.counters()
    assert counted["ok"] == 100
    assert counted["rate_limited"] <= 10


async def test_what_would_wait_too_long_goes_to_the_next_of_its_alias(line: PacedLine, provider: Told) -> None:
    await provider.tell(model="small", requests_per_second=20, latency_ms={"mean": 50})
    seconds = await answered(line, 200, model="careful")
    counted = await provider.counters()
    models = [row["model"] for row in line.out("prompt.results")]
    print(f"\n200 at once, 20/s at the first of two: {seconds:.1f} s, {models.count('large')} by the second")
    assert counted["ok"] == 200
    assert counted["rate_limited"] <= 5
    assert min(models.count("small"), models.count("large")) >= 20
