"""Whose turn it is, in the queue and in the lanes of a stage."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.contract import Outside, Policy
from agents.line import Delivery
from agents.source import RECENTLY, BatchSource, EachSource
from agents.stage import Stage
from connectors.memory.metrics import MemoryMetrics
from domain.admission.crowd import Crowd
from domain.admission.fairness import FairQueue


def test_a_flood_of_one_tenant_is_passed_by_whoever_comes_later() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(10_000):
        queue.put(b"flood", f"flood {number}")
    queue.take()
    queue.put(b"quiet", "quiet 0")
    assert [queue.take() for _ in range(3)] == ["flood 1", "quiet 0", "flood 2"]
    assert len(queue) == 9_997


def test_an_empty_queue_says_so() -> None:
    queue: FairQueue[str] = FairQueue()
    assert not queue
    with pytest.raises(IndexError):
        queue.take()


@given(st.lists(st.tuples(st.sampled_from([b"a", b"b", b"c", b"d"]), st.booleans()), max_size=200))
def test_within_a_tenant_first_come_is_first_served_and_no_other_is_served_twice_before(
    steps: list[tuple[bytes, bool]],
) -> None:
    queue: FairQueue[tuple[bytes, int]] = FairQueue()
    waiting: dict[bytes, list[int]] = {}
    passed: dict[bytes, list[bytes]] = {}  # who was served while this tenant waited
    for number, (tenant, takes) in enumerate(steps):
        if not takes:
            queue.put(tenant, (tenant, number))
            waiting.setdefault(tenant, []).append(number)
            passed.setdefault(tenant, [])
            continue
        if not queue:
            continue
        served, taken = queue.take()
        assert waiting[served].pop(0) == taken
        passed[served] = []
        if not waiting[served]:
            del waiting[served], passed[served]
        for other in waiting:
            if other != served:
                passed[other].append(served)
                assert len(set(passed[other])) == len(passed[other])
    assert len(queue) == sum(map(len, waiting.values())) == len(list(queue))


def test_what_is_gone_is_dropped_and_the_turns_stay() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(6):
        queue.put(b"ab"[number % 2 : number % 2 + 1], number)
    queue.put(b"c", 6)
    queue.drop(lambda number: number in {0, 1, 3, 5})
    assert [queue.take() for _ in range(len(queue))] == [2, 6, 4]


class Held:
    """A handler whose deliveries stay in hand until they are let go."""

    def __init__(self) -> None:
        self.outside = Outside()
        self.begun: list[bytes] = []
        self.gate = asyncio.Semaphore(0)

    async def handle(self, delivery: Delivery) -> None:
        self.begun.append(delivery.key or b"")
        await self.gate.acquire()

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        raise AssertionError(f"{delivery} failed: {error!r}")


class Calls:
    """A stream of calls with these keys, each fetched by itself."""

    def __init__(self, topic: str, keys: list[bytes]) -> None:
        self._topic, self._keys = topic, keys

    def noack(self) -> "Calls":
        return self

    async def events(self) -> Any:
        for offset, key in enumerate(self._keys):
            record = SimpleNamespace(
                topic=self._topic, partition=0, offset=offset, key=key, value=b"{}", headers=None, timestamp=0
            )
            yield SimpleNamespace(message=SimpleNamespace(records=[record], generation_id=1))


@pytest.fixture
async def handler() -> AsyncIterator[Held]:
    held = Held()
    yield held
    for _ in range(2_000):
        held.gate.release()
    await turns()


def lanes(handler: Held, **policy: Any) -> tuple[Stage, EachSource, EachSource]:
    best, least = EachSource("interactive", handler, 1_000), EachSource("bulk", handler, 1_000, share=0.75)
    return Stage(Policy("test", **policy), [best, least], MemoryMetrics()), best, least


async def turns() -> None:
    for _ in range(500):
        await asyncio.sleep(0)


async def test_a_quiet_tenant_gets_the_next_slot_however_many_calls_another_has_in_the_partition(handler: Held) -> None:
    source = EachSource("standard", handler, slots=10)
    Stage(Policy("test"), [source], MemoryMetrics())
    await source.consume(Calls("standard", [b"flood/%d" % n for n in range(1_000)] + [b"quiet/1"]))
    await turns()
    assert len(handler.begun) == 10
    for _ in range(2):
        handler.gate.release()
        await turns()
    assert handler.begun[10:] == [b"quiet/1", b"flood/10"]
    handler.gate.release()
    await turns()
    assert handler.begun[12:] == [b"flood/11"]


async def test_a_flood_of_bulk_leaves_interactive_a_quarter_of_the_room_inside(handler: Held) -> None:
    _, best, least = lanes(handler, inside=8, crowded=2)
    await least.consume(Calls("bulk", [b"t/%d" % n for n in range(100)]))
    await turns()
    assert len(handler.begun) == 6
    await best.consume(Calls("interactive", [b"t/i1", b"t/i2"]))
    await turns()
    assert handler.begun[6:] == [b"t/i1", b"t/i2"]


class Answered(Held):
    """Its deliveries wait outside for an answer; when that comes they stay in hand."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = asyncio.Event()

    async def handle(self, delivery: Delivery) -> None:
        self.begun.append(delivery.key or b"")
        with self.outside.wait(60):
            await self.answer.wait()
        await self.gate.acquire()


async def test_interactive_does_not_wait_until_the_answers_of_a_flood_of_bulk_are_written() -> None:
    handler = Answered()
    stage, best, least = lanes(handler, inside=8)
    await least.consume(Calls("bulk", [b"t/%d" % n for n in range(100)]))
    async with asyncio.timeout(10):
        while len(handler.begun) < 100:
            await asyncio.sleep(0.01)
    handler.answer.set()  # of all of them at once
    await turns()
    assert len(stage.running) == 100
    assert handler.outside.count == 0
    await best.consume(Calls("interactive", [b"t/i%d" % n for n in range(20)]))
    await turns()
    assert len(handler.begun) == 108, "its own room, which no worse lane takes"
    await least.consume(Calls("bulk", [b"t/later"]))
    await turns()
    assert len(handler.begun) == 108
    for _ in range(200):
        handler.gate.release()
    await turns()
    assert len(handler.begun) == 121


async def test_what_waits_outside_is_room_for_interactive_once_whoever_it_is_of() -> None:
    handler = Answered()
    stage, best, least = lanes(handler, inside=8)
    await least.consume(Calls("bulk", [b"t/%d" % n for n in range(100)]))
    async with asyncio.timeout(10):
        while handler.outside.count < 100:
            await asyncio.sleep(0.01)
    await best.consume(Calls("interactive", [b"t/i%d" % n for n in range(50)]))
    assert len(stage.running) == 108
    handler.answer.set()
    for _ in range(200):
        handler.gate.release()
    await turns()
    assert len(handler.begun) == 150


async def test_beside_interactive_in_use_bulk_takes_its_share_of_a_crowd(handler: Held) -> None:
    _, best, least = lanes(handler, inside=32, crowded=8)
    await best.consume(Calls("interactive", [b"t/i1"]))
    await turns()
    await least.consume(Calls("bulk", [b"t/%d" % n for n in range(100)]))
    await turns()
    assert len(handler.begun) == 6  # three quarters of 8, the interactive one among them
    best.used_at = float("-inf")
    least.begin()
    await turns()
    assert len(handler.begun) == 24


async def test_who_comes_singly_begins_beside_a_flood_which_then_takes_what_a_crowd_may(handler: Held) -> None:
    source = EachSource("standard", handler, slots=1_000)
    Stage(Policy("test", inside=32, crowded=8), [source], MemoryMetrics())
    await source.consume(Calls("standard", [b"flood/%d" % n for n in range(100)] + [b"quiet/1"]))
    await turns()
    assert handler.begun[32:] == [b"quiet/1"], "it waits for nobody of the flood"
    for _ in range(25):
        handler.gate.release()
    await turns()
    assert len(handler.begun) == 33
    for _ in range(2):
        handler.gate.release()
    await turns()
    assert handler.begun[33:] == [b"flood/32", b"flood/33"]
    source._turns.crowd = Crowd(RECENTLY)
    source.begin()
    await turns()
    assert len(handler.begun) == 59


async def test_a_flood_takes_what_a_crowd_may_from_its_beginning_where_another_was_here(handler: Held) -> None:
    source = EachSource("standard", handler, slots=1_000)
    Stage(Policy("test", inside=80, crowded=20), [source], MemoryMetrics())
    await source.consume(Calls("standard", [b"quiet/1"]))
    await turns()
    await source.consume(Calls("standard", [b"flood/%d" % n for n in range(100)]))
    await turns()
    assert len(handler.begun) == 20


async def test_tenants_that_flood_together_have_all_of_the_room(handler: Held) -> None:
    source = EachSource("standard", handler, slots=1_000)
    Stage(Policy("test", inside=80, crowded=20), [source], MemoryMetrics())
    await source.consume(Calls("standard", [b"t%d/%d" % (n % 5, n) for n in range(500)]))
    await turns()
    assert len(handler.begun) == 80


async def test_tenants_that_flood_together_keep_all_of_the_room_when_all_calls_of_one_have_begun(handler: Held) -> None:
    source = EachSource("standard", handler, slots=1_000)
    Stage(Policy("test", inside=80, crowded=20), [source], MemoryMetrics())
    calls = [b"t0/%d" % n for n in range(40)] + [b"t%d/%d" % (1 + n % 4, n) for n in range(240)]
    await source.consume(Calls("standard", calls))
    await turns()
    for _ in range(10):
        handler.gate.release()
    await turns()
    assert len(handler.begun) == 90


async def test_of_those_who_come_singly_no_more_than_a_crowd_may_begin_beside_a_flood(handler: Held) -> None:
    source = EachSource("standard", handler, slots=1_000)
    Stage(Policy("test", inside=32, crowded=8), [source], MemoryMetrics())
    await source.consume(Calls("standard", [b"flood/%d" % n for n in range(100)] + [b"q%d/1" % n for n in range(20)]))
    await turns()
    assert handler.begun[32:] == [b"q%d/1" % n for n in range(8)]


async def test_S2_who_came_singly_on_a_partition_that_left_is_forgotten(handler: Held) -> None:
    source = EachSource("standard", handler, slots=1)
    stage = Stage(Policy("test", inside=4, crowded=1), [source], MemoryMetrics())
    await source.consume(Calls("standard", [b"flood/%d" % n for n in range(9)] + [b"quiet/1"]))
    await turns()
    stage.revoked([("standard", 0)])
    handler.gate.release()
    await turns()
    assert handler.begun == [b"flood/0"]


class Batches:
    """A handler of batches that counts them."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def handle_batch(self, batch: Any) -> None:
        self.sizes.append(len(batch))
        await asyncio.sleep(0)

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        raise AssertionError(f"{delivery} failed: {error!r}")


async def test_batches_are_smaller_while_another_topic_is_in_use() -> None:
    handler = Batches()
    shared, own = BatchSource("shared", handler), BatchSource("own", handler)
    Stage(Policy("test", batch=50), [shared, own], MemoryMetrics())
    await shared.consume(Calls("shared", [b"t"] * 101))
    await turns()
    assert handler.sizes == [1, 50, 50]
    await own.consume(Calls("own", [b"t"]))
    await shared.consume(Calls("shared", [b"t"] * 21))
    await turns()
    assert handler.sizes[3:] == [1, 1, 10, 10]
