"""The stage without a broker: handlers that fail, halt and wait."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from agents.contract import PATIENCE, NotForUs, Outside, Policy
from agents.line import Delivery
from agents.source import BatchSource, EachSource
from agents.stage import Stage
from connectors.memory.metrics import MemoryMetrics
from domain.errors import Unavailable


class Consumer:
    """Remembers which partitions are held."""

    def __init__(self) -> None:
        self.held: set[Any] = set()

    def hold(self, tp: Any) -> None:
        self.held.add(tp)

    def resume(self, tp: Any) -> None:
        self.held.discard(tp)


class Stream:
    """Events as Faust hands them out: each is what a fetch brought, here of three records."""

    def __init__(self, offsets: Sequence[int], partition: int = 0) -> None:
        records = [
            SimpleNamespace(
                topic="t", partition=partition, offset=offset, key=None, value=b"%d" % offset, headers=None, timestamp=0
            )
            for offset in offsets
        ]
        self._fetches = [records[start : start + 3] for start in range(0, len(records), 3)]

    def noack(self) -> "Stream":
        return self

    async def events(self) -> AsyncIterator[Any]:
        for records in self._fetches:
            yield SimpleNamespace(message=SimpleNamespace(records=records, generation_id=1))


class Handler:
    """Fails on what it is told to; keeps what it handled and buried."""

    def __init__(self, failures: dict[int, list[Exception]] | None = None, buries: bool = True) -> None:
        self.failures = failures or {}
        self.buries = buries
        self.handled: list[int] = []
        self.buried: list[int] = []
        self.batches: list[int] = []
        self.gate: asyncio.Event | None = None
        self.outside = Outside()

    async def handle(self, delivery: Delivery) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self._work(delivery)
        self.handled.append(delivery.offset)

    async def handle_batch(self, batch: Sequence[Delivery]) -> None:
        self.batches.append(len(batch))
        if self.gate is not None:
            await self.gate.wait()
        for delivery in batch:
            self._work(delivery)
        self.handled += [delivery.offset for delivery in batch]

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        if not self.buries:
            raise RuntimeError("the dead letter is not durable")
        self.buried.append(delivery.offset)

    def _work(self, delivery: Delivery) -> None:
        if self.failures.get(delivery.offset):
            raise self.failures[delivery.offset].pop(0)


class Calling(Handler):
    """Its first delivery waits for an answer."""

    def __init__(self, failures: dict[int, list[Exception]]) -> None:
        super().__init__(failures)
        self.answered = asyncio.Event()

    async def handle(self, delivery: Delivery) -> None:
        if delivery.offset == 0:
            await self.answered.wait()
        await super().handle(delivery)


def staged(handler: Handler, form: str = "each", slots: int = 10, **policy: Any) -> tuple[Stage, Consumer]:
    source = EachSource("t", handler, slots) if form == "each" else BatchSource("t", handler)
    stage = Stage(Policy("test", **policy), [source], MemoryMetrics())
    consumer = Consumer()
    stage.bind(SimpleNamespace(consumer=consumer))
    return stage, consumer


async def settle(stage: Stage) -> None:
    """Turn the loop until whatever can happen has happened."""
    for _ in range(500):
        await asyncio.sleep(0)


@pytest.mark.parametrize("form", ["each", "batch"])
async def test_S5_an_exception_becomes_a_dead_letter_and_its_neighbours_are_handled(form: str) -> None:
    handler = Handler({3: [RuntimeError("boom")] * 10})
    stage, _ = staged(handler, form)
    await stage.sources[0].consume(Stream(range(8)))
    await settle(stage)
    assert handler.buried == [3]
    assert sorted(handler.handled) == [0, 1, 2, 4, 5, 6, 7]
    assert stage.head(("t", 0)) == 8


@pytest.mark.parametrize("form", ["each", "batch"])
async def test_S5_a_dead_letter_that_is_not_durable_acknowledges_nothing_and_halts_the_stage(form: str) -> None:
    handler = Handler({0: [RuntimeError("boom")] * 10}, buries=False)
    stage, _ = staged(handler, form)
    await stage.sources[0].consume(Stream(range(2)))
    await settle(stage)
    assert stage.halted is not None
    assert stage.head(("t", 0)) is None


async def test_S6_a_dependency_that_is_away_is_waited_for_and_buries_nothing() -> None:
    handler = Handler({0: [Unavailable("away", retry_after=0.001)] * 3})
    stage, _ = staged(handler)
    await stage.sources[0].consume(Stream([0]))
    while stage.running:
        await asyncio.sleep(0.001)
    assert (handler.handled, handler.buried, stage.head(("t", 0))) == ([0], [], 1)


async def test_S6_many_faults_of_ours_halt_the_stage_instead_of_draining_it_into_the_dead_letters() -> None:
    handler = Handler({offset: [RuntimeError("bad deploy")] for offset in range(20)})
    stage, _ = staged(handler, slots=1, fault_limit=5)
    await stage.sources[0].consume(Stream(range(20)))
    await settle(stage)
    assert len(handler.buried) == 4
    assert stage.halted is not None
    assert "bad deploy" in stage.halted
    assert stage.head(("t", 0)) == 4


async def test_S6_a_halted_stage_is_over_only_when_nothing_of_it_is_in_hand() -> None:
    """What is in hand is a call that somebody pays for: it ends as it would have."""
    handler = Calling({offset: [RuntimeError("bad deploy")] for offset in range(1, 9)})
    stage, _ = staged(handler, slots=9, fault_limit=3)
    over = asyncio.ensure_future(stage.over())
    await stage.sources[0].consume(Stream(range(9)))
    while stage.halted is None or len(stage.running) > 1:
        await asyncio.sleep(0.001)
    assert not over.done()
    handler.answered.set()
    await asyncio.wait_for(over, 5)
    assert handler.handled == [0]


async def test_S7_a_record_of_a_newer_writer_holds_its_partition_and_is_neither_buried_nor_acknowledged() -> None:
    handler = Handler({1: [NotForUs("needs version 2")]})
    stage, consumer = staged(handler)
    await stage.sources[0].consume(Stream(range(3)))
    await settle(stage)
    assert handler.buried == []
    assert stage.head(("t", 0)) == 1
    assert consumer.held == {("t", 0)}


async def test_S3_a_partition_behind_a_slow_head_is_held_and_resumes() -> None:
    handler = Handler()
    handler.gate = asyncio.Event()
    stage, consumer = staged(handler, slots=5_000)
    for _ in range(1_200):
        stage.fetched(("t", 0), 1)
    await stage.sources[0].consume(Stream(range(1_200)))
    assert consumer.held == {("t", 0)}
    handler.gate.set()
    await settle(stage)
    assert consumer.held == set()


async def test_S4_a_draining_stage_finishes_what_runs_and_begins_nothing() -> None:
    handler = Handler()
    handler.gate = asyncio.Event()
    stage, _ = staged(handler, slots=2)
    await stage.sources[0].consume(Stream(range(5)))
    drain = asyncio.ensure_future(stage.drain())
    await asyncio.sleep(0)
    handler.gate.set()
    await drain
    assert sorted(handler.handled) == [0, 1]
    assert stage.head(("t", 0)) == 2


async def test_S4_the_drain_gives_up_after_its_time() -> None:
    handler = Handler()
    handler.gate = asyncio.Event()
    stage, _ = staged(handler, drain=0.01)
    await stage.sources[0].consume(Stream([0]))
    await stage.drain()
    assert len(stage.running) == 1
    assert stage.head(("t", 0)) is None
    handler.gate.set()
    await settle(stage)


async def test_S2_work_of_a_partition_that_left_goes_on_but_acknowledges_nothing() -> None:
    handler = Handler()
    handler.gate = asyncio.Event()
    stage, _ = staged(handler, slots=1)
    await stage.sources[0].consume(Stream(range(3)))
    stage.revoked([("t", 0)])
    handler.gate.set()
    await settle(stage)
    assert handler.handled == [0]
    assert stage.head(("t", 0)) is None


async def test_L17_the_next_batch_is_what_arrived_while_the_last_one_ran() -> None:
    handler = Handler()
    handler.gate = asyncio.Event()
    stage, _ = staged(handler, "batch")
    await stage.sources[0].consume(Stream(range(50)))
    await asyncio.sleep(0)
    handler.gate.set()
    await settle(stage)
    assert handler.batches == [3, 47]


async def test_more_than_the_stage_can_work_on_begins_only_while_others_wait_outside() -> None:
    handler = Handler()
    handler.gate = asyncio.Event()
    stage, _ = staged(handler, slots=10, inside=2)
    await stage.sources[0].consume(Stream(range(10)))
    assert len(stage.running) == 2
    with handler.outside.wait(1.0), handler.outside.wait(1.0):
        await asyncio.sleep(0)
        assert len(stage.running) == 2, "an answer that comes at once frees nothing"
        await asyncio.sleep(2 * PATIENCE + 0.01)
        assert len(stage.running) == 4
    handler.gate.set()
    await settle(stage)
    assert sorted(handler.handled) == list(range(10))


async def test_S6_a_delivery_is_late_unless_a_dependency_was_away_meanwhile() -> None:
    handler = Handler()
    handler.gate = asyncio.Event()
    stage, _ = staged(handler)
    await stage.sources[0].consume(Stream([0]))
    await asyncio.sleep(0)
    limit, now = stage.policy.task_limit, time.monotonic()
    assert 30 <= stage.late(now + limit + 31, float("-inf")) <= 32
    assert stage.late(now + limit + 31, now + 5) <= 27
    stage.waited_at = now + 31
    assert stage.late(now + limit + 31, float("-inf")) <= 1
    handler.gate.set()
    await settle(stage)
    assert stage.late(now + limit + 1000, float("-inf")) == 0
