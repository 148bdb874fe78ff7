"""Calls that were answered while a better lane is in use."""

import asyncio
from contextlib import suppress

import pytest

from agents import returning
from agents.contract import Policy
from agents.line import Delivery
from agents.returning import Returning
from agents.source import EachSource
from agents.stage import Stage
from connectors.memory.metrics import MemoryMetrics
from tests.admission.test_fairness import Calls, Held, turns


class Answered(Held):
    """Its deliveries wait outside for an answer, come back in their lane, and stay in hand."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()
        self.returned: list[bytes] = []

    async def handle(self, delivery: Delivery) -> None:
        self.begun.append(delivery.key or b"")
        with self.outside.wait(60):
            await self.answer.wait()
        await self.outside.back(delivery.topic)
        self.returned.append(delivery.key or b"")
        await self.gate.acquire()


async def flooded(handler: Answered) -> tuple[Stage, EachSource, EachSource]:
    """A hundred bulk calls that wait outside."""
    best = EachSource("interactive", handler, 1_000, 1.0, "interactive")
    least = EachSource("bulk", handler, 1_000, 0.75, "bulk")
    stage = Stage(Policy("test", inside=32, crowded=8), [best, least], MemoryMetrics())
    await least.consume(Calls("bulk", [b"t/%d" % n for n in range(100)]))
    async with asyncio.timeout(10):
        while handler.outside.count < 100:
            await asyncio.sleep(0.01)
    return stage, best, least


async def test_beside_interactive_in_use_as_many_of_bulk_go_on_as_a_crowd_may() -> None:
    handler = Answered()
    _, best, _ = await flooded(handler)
    best.used_at = asyncio.get_running_loop().time()
    handler.answer.set()
    await turns()
    assert handler.returned == [b"t/%d" % n for n in range(6)], "three quarters of 8, in the order of their answers"
    handler.gate.release()
    await turns()
    assert handler.returned[6:] == [b"t/6"]
    for _ in range(200):
        handler.gate.release()
    await turns()
    assert len(handler.returned) == 100


async def test_interactive_answers_go_on_at_once() -> None:
    handler = Answered()
    _, best, _ = await flooded(handler)
    await best.consume(Calls("interactive", [b"t/i%d" % n for n in range(20)]))
    handler.answer.set()
    await turns()
    assert [key for key in handler.returned if b"i" in key] == [b"t/i%d" % n for n in range(20)]


async def test_where_no_better_lane_is_in_use_all_go_on_at_once() -> None:
    handler = Answered()
    await flooded(handler)
    handler.answer.set()
    await turns()
    assert len(handler.returned) == 100


async def test_a_lane_nobody_reads_here_holds_nobody() -> None:
    handler = Answered()
    async with asyncio.timeout(5):
        await handler.outside.back("unknown")


async def test_whoever_waits_for_too_long_goes_on_without_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returning, "LONGEST_S", 0.02)
    door = Returning(lambda _: False)
    async with asyncio.timeout(5):
        await asyncio.gather(*(door.turn() for _ in range(3)))
        await door.turn()
    assert len(door) == 0


async def test_who_is_cancelled_takes_no_turn() -> None:
    places = 0
    door = Returning(lambda _: places > 0)
    first, second = asyncio.ensure_future(door.turn()), asyncio.ensure_future(door.turn())
    await turns()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    assert len(door) == 1
    places = 1
    door.go_on()
    async with asyncio.timeout(5):
        await second
