"""What operators order of a sink, and what it tells of itself, over the in-memory twins."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from domain.errors import Unavailable
from domain.ports import Item, Refused
from domain.sinks.model import OPENING
from tests.contract.messages import NOON, result
from tests.deliver.running import Delivery, until
from topics.table import RESULTS


@pytest.fixture
async def line() -> Delivery:
    return Delivery()


async def test_nothing_is_carried_before_the_orders_are_known(line: Delivery) -> None:
    watcher = line.watcher()
    line.publish(RESULTS, result().value)
    running = asyncio.ensure_future(line.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert (line.sink.results, line.health.health().ready) == ({}, False)
    await watcher.look()
    await until(lambda: line.uncommitted() == 0)
    line.health.stop()
    await asyncio.wait_for(running, 5)


async def test_what_cannot_be_read_is_told_until_it_can(line: Delivery) -> None:
    watcher = line.watcher()
    await watcher.look()
    line.source.missing = "the topic orders does not exist; create it"
    await watcher.look()
    (view,) = await line.board.look()
    assert (view.state(NOON), view.alive(NOON)[0].detail) == ("waiting", f"read: {line.source.missing}")
    assert not line.health.health().ready
    line.source.missing = None
    await watcher.look()
    (view,) = await line.board.look()
    assert (view.state(NOON), view.alive(NOON)[0].detail) == ("running", "")


async def test_a_sink_that_cannot_open_tells_what_lies_before_its_group(line: Delivery) -> None:
    watcher = line.watcher()
    line.publish(RESULTS, *(result(f"r{n}").value for n in range(7)))
    line.sink.troubles = [Unavailable("ClickHouse at h:1 does not answer")]
    running = asyncio.ensure_future(line.run(Policy("memory", first_wait_s=0.2)))
    await until(lambda: line.health.trouble == "open: ClickHouse at h:1 does not answer")
    for _ in range(2):  # the first learns the orders
        await watcher.look()
    (view,) = await line.board.look()
    assert (view.state(NOON), view.lag(NOON)) == ("waiting", 7)
    place = next(n for n in range(line.broker.partitions) if line.broker.end(RESULTS, n))
    assert line.metrics.value("consumer_lag", topic=RESULTS, partition=str(place)) == 7
    assert line.metrics.value("sink_paused", sink="memory") == 0
    await until(lambda: line.health.trouble is None and line.uncommitted() == 0)
    await watcher.look()
    (view,) = await line.board.look()
    assert (view.state(NOON), view.lag(NOON)) == ("running", 0)
    assert line.metrics.value("consumer_lag", topic=RESULTS, partition=str(place)) == 0
    line.health.stop()
    await asyncio.wait_for(running, 5)


async def test_how_long_a_sink_waits_is_told_and_ends_when_it_is_paused(line: Delivery) -> None:
    passed = timedelta(0)
    line.health = Condition("memory", lambda: NOON + passed)
    watcher = line.watcher()

    async def told(**seconds: float) -> float:
        nonlocal passed
        passed += timedelta(**seconds)
        await watcher.look()
        return line.metrics.value("sink_waiting_seconds", sink="memory")

    assert await told(seconds=60) == 60  # the orders are not known yet, and no operator has paused it
    assert line.metrics.value("sink_paused", sink="memory") == 0
    line.health.troubled(OPENING, f"{OPENING}: it does not answer")
    assert await told(seconds=60) == 120  # the first call took a minute to fail
    await line.board.pause("memory", True)
    await told()
    assert (await told(seconds=60), line.metrics.value("sink_paused", sink="memory")) == (0, 1)
    await line.board.pause("memory", False)
    line.health.well(OPENING)
    await told()
    assert await told(seconds=60) == 0
    line.health.troubled("write", "write: it is away")
    assert await told(seconds=7) == 7


async def test_a_sink_that_cannot_open_waits_from_its_first_report_on(line: Delivery) -> None:
    line.health.troubled(OPENING, f"{OPENING}: its bucket is missing")
    await line.watcher().look()
    (view,) = await line.board.look()
    assert (view.state(NOON), view.alive(NOON)[0].state) == ("waiting", "waiting")


async def test_a_paused_sink_carries_nothing_and_goes_on_where_it_was(line: Delivery) -> None:
    watcher = line.watcher()
    await watcher.look()
    await line.board.pause("memory", True)
    await watcher.look()
    line.publish(RESULTS, *(result(f"r{n}").value for n in range(120)))
    running = asyncio.ensure_future(line.run())
    for _ in range(20):
        await asyncio.sleep(0)
    assert (line.sink.results, line.uncommitted()) == ({}, 120)
    health = line.health.health()
    assert (health.ready, health.checks["memory"].detail.startswith("paused by an operator")) == (True, True)
    assert line.metrics.value("sink_paused", sink="memory") == 0  # of the look before
    await line.board.pause("memory", False)
    await watcher.look()
    await until(lambda: line.uncommitted() == 0)
    assert len(line.sink.results) == 120
    line.health.stop()
    await asyncio.wait_for(running, 5)


async def test_a_pause_is_still_there_after_a_restart_and_a_stop_ends_it(line: Delivery) -> None:
    await line.watcher().look()
    await line.board.pause("memory", True)
    line.publish(RESULTS, result().value)
    running = asyncio.ensure_future(line.run())
    await line.watcher().look()
    for _ in range(20):
        await asyncio.sleep(0)
    line.health.stop()
    await asyncio.wait_for(running, 5)
    assert (line.sink.results, line.uncommitted()) == ({}, 1)


async def test_a_replay_carries_again_from_a_time_or_from_offsets(line: Delivery) -> None:
    times = iter(NOON + timedelta(minutes=n) for n in range(100))
    line.broker.now = lambda: next(times)
    line.publish(RESULTS, *(result(f"r{n}").value for n in range(10)))
    watcher = line.watcher()
    await watcher.look()
    running = asyncio.ensure_future(line.run())
    await until(lambda: line.uncommitted() == 0)
    line.sink.results.clear()
    await line.board.replay("memory", NOON + timedelta(minutes=6), {})
    await watcher.look()
    await until(lambda: len(line.sink.results) == 4)
    assert {id for _, id in line.sink.results} == {"r6", "r7", "r8", "r9"}
    await watcher.look()  # once only
    line.sink.results.clear()
    place = next((RESULTS, n) for n in range(line.broker.partitions) if line.broker.end(RESULTS, n))
    await line.board.replay("memory", None, {place: 3, (RESULTS, 999): 0})
    await watcher.look()
    await until(lambda: len(line.sink.results) == 7)
    (seen,) = await line.board.look()
    assert len(seen.orders.rewound) == len(line.sink.topics) * line.broker.partitions
    line.health.stop()
    await asyncio.wait_for(running, 5)


async def test_a_replay_while_a_batch_is_in_hand_is_not_undone_by_its_commit(line: Delivery) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    write = line.sink.write

    async def slow(batch: Sequence[Item]) -> list[Refused]:
        entered.set()
        await go_on.wait()
        return await write(batch)

    line.publish(RESULTS, *(result(f"r{n}").value for n in range(10)))
    watcher = line.watcher()
    await watcher.look()
    line.sink.write = slow  # type: ignore[method-assign]
    running = asyncio.ensure_future(line.run())
    await entered.wait()
    await line.board.replay("memory", NOON, {})
    await watcher.look()
    go_on.set()
    await until(lambda: line.uncommitted() == 0)
    assert line.metrics.value("sink_rows", sink="memory", topic=RESULTS) == 20
    line.health.stop()
    await asyncio.wait_for(running, 5)
