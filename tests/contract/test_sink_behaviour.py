"""What every sink does, whatever its destination: the obligations that stand above domain.ports.Sink."""

from collections.abc import AsyncIterator

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.sink import ClickHouseSink
from connectors.memory.sink import MemorySink
from domain.errors import Transient, Unavailable
from tests.contract.messages import call, event, item, result
from tests.contract.sinks import Row, Subject, numbered
from topics.table import EVENTS, RESULTS, USAGE

NOTHING = "http://app:topsecret@127.0.0.1:1/none"


async def memory(_request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    sink = MemorySink()

    async def held() -> list[Row]:
        results = [(RESULTS, *key) for key in sink.results]
        calls = [(USAGE, tenant, id) for tenant, id, _, _ in sink.calls]
        return sorted([*results, *calls, *((EVENTS, *key) for key in sink.events)])

    yield Subject(sink, held, MemorySink([Unavailable("away") for _ in range(9)]))


async def clickhouse(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    url = request.getfixturevalue("clickhouse_url")
    async with ClickHouse(url) as reader:
        await apply(reader)

        async def held() -> list[Row]:
            tables = ((RESULTS, "results", "id"), (USAGE, "calls", "id"), (EVENTS, "events", "event_id"))
            rows = []
            for topic, table, id in tables:
                found = await reader.select(f"SELECT tenant, {id} AS id FROM {table} FINAL", {})
                rows += [(topic, row["tenant"], row["id"]) for row in found]
            return sorted(rows)

        yield Subject(ClickHouseSink(ClickHouse(url)), held, ClickHouseSink(ClickHouse(NOTHING)))


KINDS = {"memory": memory, "clickhouse": clickhouse}


@pytest.fixture(
    params=[pytest.param(name, marks=[] if name == "memory" else pytest.mark.integration) for name in KINDS]
)
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    async for made in KINDS[request.param](request):
        await made.sink.open()
        yield made
        await made.sink.close()


BATCH = numbered([result(), result("r2"), call(), event(), result(tenant="globex")])
ROWS: list[Row] = sorted(
    [(RESULTS, "acme", "r1"), (RESULTS, "acme", "r2"), (RESULTS, "globex", "r1"), (USAGE, "acme", "r1"),
     (EVENTS, "acme", "e1")]
)  # fmt: skip


def on_topics(rows: list[Row], subject: Subject) -> list[Row]:
    return [row for row in rows if row[0] in subject.sink.topics]


async def test_what_was_accepted_is_durable_on_return(subject: Subject) -> None:
    assert await subject.sink.write(BATCH) == []
    assert await subject.held() == on_topics(ROWS, subject)


async def test_writing_a_batch_twice_is_harmless(subject: Subject) -> None:
    for _ in range(3):
        assert await subject.sink.write(BATCH) == []
    assert await subject.held() == on_topics(ROWS, subject)


async def test_another_process_may_write_it_again(subject: Subject) -> None:
    await subject.sink.write(BATCH)
    await subject.sink.close()
    await subject.sink.open()
    assert await subject.sink.write(BATCH) == []
    assert await subject.held() == on_topics(ROWS, subject)


async def test_a_batch_that_overlaps_the_one_before_is_harmless(subject: Subject) -> None:
    rows = numbered([result(f"r{n}") for n in range(10)])
    await subject.sink.write(rows[:6])
    await subject.sink.write(rows[3:])
    await subject.sink.write(rows[2:4])
    assert await subject.held() == [(RESULTS, "acme", f"r{n}") for n in range(10)]


async def test_refused_items_are_named_with_a_reason_and_their_neighbours_are_written(subject: Subject) -> None:
    bad = [item(RESULTS, value) for value in subject.poison]
    batch = numbered([result("a"), *bad, result("b"), call()])
    refused = await subject.sink.write(batch)
    assert [one.item for one in refused] == batch[1 : 1 + len(bad)]
    assert all(one.reason for one in refused)
    expected = [(RESULTS, "acme", "a"), (RESULTS, "acme", "b"), (USAGE, "acme", "r1")]
    assert await subject.held() == on_topics(sorted(expected), subject)


async def test_an_empty_batch_is_nothing_to_do(subject: Subject) -> None:
    assert await subject.sink.write([]) == []
    assert await subject.held() == []


async def test_a_destination_that_is_away_is_tried_later_and_nothing_is_refused(subject: Subject) -> None:
    async def carry() -> None:
        await subject.away.open()
        await subject.away.write(BATCH)

    with pytest.raises(Transient) as raised:
        await carry()
    assert "topsecret" not in str(raised.value)
    await subject.away.close()


async def test_a_sink_may_be_closed_twice(subject: Subject) -> None:
    await subject.sink.close()
    await subject.sink.close()
