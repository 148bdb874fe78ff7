"""What every reader of prompt.control does."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from confluent_kafka.admin import AdminClient

from connectors.kafka import admin
from connectors.kafka.changes import KafkaChanges
from connectors.kafka.producer import KafkaProducer
from connectors.memory.broker import MemoryBroker, MemoryProducer
from connectors.memory.changes import MemoryChanges
from domain.ports import Changes, Producer, Record
from domain.settings import Settings
from tests.conftest import Engines
from topics.table import CONTROL, TABLE


class Place:
    """A topic with one writer, and as many readers as a test wants."""

    def __init__(self, producer: Producer, reader: Callable[[], Changes]) -> None:
        self.reader = reader
        self._producer = producer

    async def say(self, *values: bytes) -> None:
        await self._producer.send([Record(CONTROL, value, value[:1]) for value in values])


@pytest.fixture
async def memory() -> Place:
    broker = MemoryBroker()
    return Place(MemoryProducer(broker), lambda: MemoryChanges(broker))


@pytest.fixture
async def kafka(engines: Engines, topic_prefix: str) -> AsyncIterator[Place]:
    settings = Settings(
        kafka=engines.kafka, database_url="postgresql://a:b@127.0.0.1:1/c", redis_url="redis://127.0.0.1:1/0",
        clickhouse_url="http://127.0.0.1:1/d", topic_prefix=topic_prefix, replication=1,
    )  # fmt: skip
    admin.apply(settings, [row for row in TABLE if row.name == CONTROL])
    connection = {"bootstrap.servers": engines.kafka}
    producer, readers = KafkaProducer(connection, prefix=topic_prefix), []

    def reader() -> KafkaChanges:
        readers.append(KafkaChanges(connection, topic_prefix))
        return readers[-1]

    yield Place(producer, reader)
    closing: list[Awaitable[None]] = [one.close() for one in readers]
    for one in closing:
        await one
    await producer.close()
    AdminClient(connection).delete_topics([topic_prefix + CONTROL])


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


async def test_every_reader_hears_what_was_said_before_and_then_the_rest_within_a_second(place: Place) -> None:
    await place.say(b"a1", b"b1")
    one, two = place.reader(), place.reader()
    assert [await reader.so_far() for reader in (one, two)] == [[b"a1", b"b1"]] * 2
    assert await one.more() == []
    await place.say(b"a2")
    for reader in (one, two):
        began, found = time.monotonic(), list[bytes]()
        while not found and time.monotonic() - began < 5:
            found = await reader.more()
        assert found == [b"a2"]
        assert time.monotonic() - began < 1


async def test_a_topic_on_which_nothing_was_said_is_caught_up_at_once(place: Place) -> None:
    reader = place.reader()
    assert await reader.so_far() == []
    await place.say(b"a1")
    began, found = time.monotonic(), list[bytes]()
    while not found and time.monotonic() - began < 5:
        found = await reader.more()
    assert found == [b"a1"]
