"""What every sink does, whatever its destination: the obligations that stand above domain.ports.Sink."""

import asyncio
import io
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import orjson
import pyarrow.parquet
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # public, stubs lack it

from agents.deliver.bisecting import Bisecting
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.sink import ClickHouseSink
from connectors.kafka.mirror import SOURCE, KafkaMirror
from connectors.kafka.producer import KafkaProducer
from connectors.memory.sink import MemorySink
from connectors.postgres.pool import connect
from connectors.postgres.sink import PostgresSink
from connectors.s3.client import S3, Bucket
from connectors.s3.formats import JsonLines, Parquet
from connectors.s3.sink import S3Sink
from domain.errors import Transient, Unavailable
from domain.sinks.columns import TABLES
from tests import s3
from tests.contract.messages import call, event, item, result
from tests.contract.sinks import Row, Subject, numbered
from tests.contract.warehouses import in_bigquery, in_sheets, in_snowflake
from topics.table import EVENTS, RESULTS, USAGE

Given = dict[str, Any]
NOTHING = "http://app:topsecret@127.0.0.1:1/none"


async def memory(_: Given) -> AsyncIterator[Subject]:
    sink = MemorySink()

    async def held() -> list[Row]:
        results = [(RESULTS, *key) for key in sink.results]
        calls = [(USAGE, tenant, id) for tenant, id, _, _ in sink.calls]
        return sorted([*results, *calls, *((EVENTS, *key) for key in sink.events)])

    yield Subject(sink, held, MemorySink([Unavailable("away") for _ in range(9)]))


async def clickhouse(given: Given) -> AsyncIterator[Subject]:
    url = given["clickhouse_url"]
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


async def postgres(given: Given) -> AsyncIterator[Subject]:
    url = given["database_url"]
    reader = await connect(url, 1)
    await reader.fetch("DROP SCHEMA IF EXISTS structured_prompt CASCADE")

    async def held() -> list[Row]:
        rows = await reader.fetch(
            f"SELECT '{RESULTS}', tenant, id FROM structured_prompt.results "
            f"UNION ALL SELECT '{USAGE}', tenant, id FROM structured_prompt.calls "
            f"UNION ALL SELECT '{EVENTS}', tenant, event_id FROM structured_prompt.events"
        )
        return sorted(tuple(row) for row in rows)

    yield Subject(PostgresSink(url), held, PostgresSink("postgresql://app:topsecret@127.0.0.1:1/none"))
    await reader.close()


async def kafka(given: Given) -> AsyncIterator[Subject]:
    prefix = given["topic_prefix"]
    here, nowhere = {"bootstrap.servers": given["engines"].kafka}, {"bootstrap.servers": "127.0.0.1:1"}
    admin = AdminClient(here)
    topics = [prefix + topic for topic in KafkaMirror.topics]
    for created in admin.create_topics([NewTopic(topic, 1, 1) for topic in topics]).values():
        created.result(30)

    async def held() -> list[Row]:
        return await asyncio.to_thread(mirrored, here, topics, len(prefix))

    sink = KafkaMirror(KafkaProducer(here, prefix=prefix))
    # a producer that finds nobody gives up after a moment; what no broker ever takes is too large for it
    yield Subject(sink, held, KafkaMirror(KafkaProducer(nowhere, 1.0)), (b"x" * 5 * 1024 * 1024,))
    admin.delete_topics(topics)


def mirrored(connection: dict[str, str], topics: list[str], prefix: int) -> list[Row]:
    """One row a source: a record that was carried twice says so in its header."""
    consumer = Consumer({**connection, "group.id": secrets.token_hex(4), "enable.auto.commit": False})
    places = [TopicPartition(topic, 0, 0) for topic in topics]
    consumer.assign(places)
    rows: dict[bytes, Row] = {}
    wanted = sum(consumer.get_watermark_offsets(place, timeout=10)[1] for place in places)
    while wanted:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None, message.error()
        wanted -= 1
        fields = orjson.loads(message.value() or b"")
        headers = dict(message.headers() or ())
        assert headers["h"] == b"\xff"
        source = str(message.topic())[prefix:]
        rows[headers[SOURCE]] = (source, fields["tenant"], fields["event_id" if source == EVENTS else "id"])
    consumer.close()
    return sorted(rows.values())


async def in_s3(_: Given) -> AsyncIterator[Subject]:
    with s3.moto() as store:
        client, bucket = store.client(), f"results-{secrets.token_hex(4)}"
        client.create_bucket(Bucket=bucket)

        async def held() -> list[Row]:
            return sorted(row for key, body in stored(client, bucket) for row in rows_of(key, body))

        here, nowhere = (Bucket(bucket, url, None, s3.ACCESS, s3.SECRET) for url in (store.url, "http://127.0.0.1:1"))
        yield Subject(S3Sink(S3(here), Parquet()), held, S3Sink(S3(nowhere), JsonLines()))


def stored(client: Any, bucket: str) -> Iterator[tuple[str, bytes]]:
    for one in client.list_objects_v2(Bucket=bucket).get("Contents", ()):
        if not one["Key"].startswith("_"):
            yield one["Key"], client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()


def rows_of(key: str, body: bytes) -> Iterator[Row]:
    found = pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()
    topic = next(topic for topic, table in TABLES.items() if key.startswith(f"{table}/"))
    for row in found:
        yield topic, row["tenant"], row["event_id" if topic == EVENTS else "id"]


KINDS: dict[str, tuple[Callable[[Given], AsyncIterator[Subject]], tuple[str, ...]]] = {
    "memory": (memory, ()),
    "clickhouse": (clickhouse, ("clickhouse_url",)),
    "postgres": (postgres, ("database_url",)),
    "kafka": (kafka, ("engines", "topic_prefix")),
    "s3": (in_s3, ()),
    "bigquery": (in_bigquery, ()),
    "sheets": (in_sheets, ()),
    "snowflake": (in_snowflake, ("snowflake_url",)),
}
"""With the fixtures each needs."""


@pytest.fixture(
    params=[pytest.param(name, marks=[] if name == "memory" else pytest.mark.integration) for name in KINDS]
)
def kind(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    make, fixtures = KINDS[request.param]
    return make({name: request.getfixturevalue(name) for name in fixtures})


@pytest.fixture
async def subject(kind: AsyncIterator[Subject]) -> AsyncIterator[Subject]:
    async for made in kind:
        made.sink = Bisecting(made.sink)  # as the runner has it
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


async def test_a_sink_may_be_closed_twice_and_keeps_what_it_took(subject: Subject) -> None:
    await subject.sink.open()
    assert await subject.sink.write(BATCH) == []
    held = await subject.held()
    await subject.sink.close()
    await subject.sink.close()
    assert await subject.held() == held != []
