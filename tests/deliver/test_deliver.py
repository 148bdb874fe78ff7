"""The sink runner over the in-memory twins."""

import asyncio
import base64
from collections.abc import Sequence

import pytest

from agents.deliver.policy import Policy
from connectors.memory.broker import MemoryBroker, MemorySource
from connectors.memory.sink import MemorySink
from domain.errors import BatchRefused, Transient, Unavailable
from domain.ports import Item, Record, Refused
from tests.contract.messages import NOON, call, event, result
from tests.deliver.running import GROUP, Delivery, run_until, until
from topics.table import DEAD_LETTERS, RESULTS, USAGE


@pytest.fixture
async def line() -> Delivery:
    return Delivery()


async def test_records_reach_the_sink_and_are_committed(line: Delivery) -> None:
    line.publish(RESULTS, *(result(f"r{n}").value for n in range(120)))
    line.publish(USAGE, call().value)
    await run_until(line, lambda: line.uncommitted() == 0)
    assert (len(line.sink.results), len(line.sink.calls)) == (120, 1)
    assert line.metrics.value("sink_rows", sink="memory", topic=RESULTS) == 120
    assert line.metrics.value("events_in", stage="memory") == 121
    assert line.metrics.value("sink_age_seconds", sink="memory") == 0


async def test_source_and_sink_are_closed_at_the_end(line: Delivery) -> None:
    await run_until(line, lambda: line.sink.is_open)
    assert not line.sink.is_open


async def test_poison_becomes_a_dead_letter_and_blocks_nothing(line: Delivery) -> None:
    line.publish(RESULTS, result("before").value, b"poison \xff", b"{}", result("after").value)
    await run_until(line, lambda: line.uncommitted() == 0)
    assert {id for _, id in line.sink.results} == {"before", "after"}
    first, second = line.letters()
    assert (first.code, first.stage, first.topic, first.offset) == ("refused_by_sink", "deliver.memory", RESULTS, 1)
    assert base64.b64decode(first.value or "") == b"poison \xff"
    assert (first.first_seen, first.tenant, first.id) == (NOON, None, None)
    assert first.reason
    assert second.offset == 2
    assert line.broker.log[DEAD_LETTERS][0].key == b"key"
    assert line.metrics.value("dead_letters", stage="memory", code="refused_by_sink") == 2
    assert line.metrics.value("sink_refused", sink="memory", topic=RESULTS) == 2


async def test_a_dead_letter_names_whose_it_was_where_that_can_be_read(line: Delivery) -> None:
    line.publish(RESULTS, result("mine", run=3).value.replace(b'"completed"', b'"finished"'))
    line.publish(RESULTS, b'{"tenant": 5, "id": ["x"], "run": true}')
    line.publish(RESULTS, b'{"tenant": "%s", "id": "%s"}' % (b"t" * 100, b"i" * 300))
    await run_until(line, lambda: line.uncommitted() == 0)
    assert [(one.tenant, one.id, one.run) for one in line.letters()] == [
        ("acme", "mine", 3),
        (None, None, None),
        (None, None, None),
    ]


async def test_a_record_of_another_teams_topic_is_nobodys_whatever_it_says() -> None:
    class Refusing(MemorySink):
        topics = ("orders",)

        async def write(self, batch: Sequence[Item]) -> list[Refused]:
            return [Refused(item, "it cannot be mapped") for item in batch]

    line = Delivery(sink=Refusing())
    line.publish("orders", b'{"tenant": "acme", "id": "order-1"}')
    await run_until(line, lambda: line.uncommitted() == 0)
    assert [(one.tenant, one.id, one.topic) for one in line.letters()] == [(None, None, "orders")]


async def test_a_refused_record_with_huge_headers_still_fits_on_its_topic(line: Delivery) -> None:
    line.broker.append(Record(RESULTS, b"p" * 1_000_000, b"k" * 100_000, [("h", b"x" * 500_000)]))
    await run_until(line, lambda: line.uncommitted() == 0)
    (letter,) = line.broker.log[DEAD_LETTERS]
    assert len(letter.value or b"") + len(letter.key or b"") < 2 * 1024 * 1024
    assert line.letters()[0].size == 1_000_000


async def test_a_sink_that_is_away_is_tried_until_it_is_back(line: Delivery) -> None:
    line.sink.troubles = [Unavailable("down"), *(Transient("busy", retry_after=0.0) for _ in range(20))]
    line.publish(RESULTS, result().value)
    await run_until(line, lambda: line.uncommitted() == 0)
    assert len(line.sink.results) == 1
    assert line.metrics.value("sink_errors", sink="memory") == 21


async def test_S5_a_dead_letter_is_durable_before_its_record_is_committed(line: Delivery) -> None:
    line.producer.failures = [Unavailable("no broker")] * 3
    seen: list[int] = []
    send = line.producer.send

    async def watched(records: list[Record]) -> None:
        seen.append(line.uncommitted())
        await send(records)

    line.producer.send = watched  # type: ignore[method-assign, assignment]
    line.publish(RESULTS, b"poison")
    await run_until(line, lambda: line.uncommitted() == 0)
    assert seen == [1, 1, 1, 1]
    assert len(line.letters()) == 1


async def test_S6_a_sink_that_is_away_makes_the_process_not_ready_and_never_unhealthy(line: Delivery) -> None:
    assert not line.health.health().ready
    line.publish(RESULTS, result().value)
    line.sink.troubles = [Unavailable("ClickHouse at h:1 does not answer")]
    running = asyncio.ensure_future(line.run(Policy("memory", first_wait_s=60.0)))
    await until(lambda: "does not answer" in line.health.health().checks["memory"].detail)
    health = line.health.health()
    assert (health.ok, health.ready) == (True, False)
    assert health.checks["memory"].detail.startswith("waiting since 2026-11-20 12:00:00 UTC, nothing is lost: open:")
    line.health.stop()
    await asyncio.wait_for(running, 5)


async def test_is_ready_again_once_the_sink_is_back(line: Delivery) -> None:
    line.sink.troubles = [Unavailable("down")]
    await run_until(line, lambda: line.health.health().ready)
    assert line.health.health().checks["memory"].ok


async def test_S4_a_stop_finishes_the_batch_in_hand_and_commits_it(line: Delivery) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    write = line.sink.write

    async def slow(batch):  # type: ignore[no-untyped-def]
        entered.set()
        await go_on.wait()
        return await write(batch)

    line.sink.write = slow  # type: ignore[method-assign]
    line.publish(RESULTS, result().value)
    running = asyncio.ensure_future(line.run())
    await entered.wait()
    line.health.stop()
    go_on.set()
    await asyncio.wait_for(running, 5)
    assert line.uncommitted() == 0
    assert len(line.sink.results) == 1


async def test_a_stop_while_the_sink_is_away_commits_nothing_and_ends_at_once(line: Delivery) -> None:
    line.publish(RESULTS, result().value)
    running = asyncio.ensure_future(line.run(Policy("memory", first_wait_s=3600.0)))
    await until(lambda: line.sink.is_open)
    line.sink.troubles = [Unavailable("down")] * 100
    line.publish(RESULTS, *[result(f"r{n}").value for n in range(200)])
    await until(lambda: not line.health.health().ready)
    line.health.stop()
    await asyncio.wait_for(running, 5)
    assert line.uncommitted() > 0
    assert not line.sink.is_open


async def test_what_was_not_committed_comes_again_and_leaves_one_row(line: Delivery) -> None:
    line.publish(RESULTS, *(result(f"r{n}").value for n in range(10)))
    await run_until(line, lambda: line.uncommitted() == 0)
    again = Delivery(broker=MemoryBroker(), sink=line.sink)
    again.publish(RESULTS, *(result(f"r{n}").value for n in range(10)))
    await run_until(again, lambda: again.uncommitted() == 0)
    assert len(line.sink.results) == 10


async def test_a_stop_before_the_start_ends_at_once(line: Delivery) -> None:
    line.health.stop()
    line.publish(RESULTS, result("r1").value)
    await asyncio.wait_for(line.run(), 5)
    assert len(line.sink.results) == 0


async def test_tombstones_and_events_are_no_trouble(line: Delivery) -> None:
    line.publish(RESULTS, None)
    line.publish("prompt.events", event().value)
    await run_until(line, lambda: len(line.sink.events) == 1)
    assert line.letters() == []


async def test_lag_is_shown_for_each_partition(line: Delivery) -> None:
    line.publish(RESULTS, *(result(f"r{n}").value for n in range(7)))
    await line.watcher().look()
    assert line.metrics.value("consumer_lag", topic=RESULTS) == 7
    assert line.metrics.value("sink_oldest_seconds", sink="memory") == 0


class Vague(MemorySink):
    """Says that a batch is refused, and never which item."""

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        if any(b"poison" in item.value for item in batch):
            raise BatchRefused("one of them is poison")
        return await super().write(batch)


async def test_a_destination_that_names_no_row_loses_only_the_row() -> None:
    line = Delivery(sink=Vague())
    values = [result(f"r{n}").value for n in range(100)]
    for place in (0, 37, 99):
        values[place] = b"poison"
    line.publish(RESULTS, *values)
    await run_until(line, lambda: line.uncommitted() == 0)
    assert (len(line.sink.results), [one.reason for one in line.letters()]) == (97, ["one of them is poison"] * 3)


@pytest.mark.parametrize("ordered", [True, False])
async def test_parts_of_a_batch_are_written_side_by_side_and_tried_again_alone(ordered: bool) -> None:
    line = Delivery()
    line.source = MemorySource(line.broker, line.sink.topics, GROUP, rows=200)
    line.sink.troubles = []
    together = asyncio.Barrier(4)
    write, failed = line.sink.write, [Unavailable("one of four")]
    sizes: list[int] = []

    async def slow(batch: Sequence[Item]) -> list[Refused]:
        sizes.append(len(batch))
        if len(sizes) <= 4:
            await together.wait()
        if failed:
            raise failed.pop()
        return await write(batch)

    line.sink.write = slow  # type: ignore[method-assign]
    for n in range(200):
        line.broker.append(Record(RESULTS, result(f"r{n}").value))
    await run_until(line, lambda: line.uncommitted() == 0, Policy("memory", 0.0, ways=4, ordered=ordered))
    assert sizes == [50] * 5
    assert len(line.sink.results) == 200
