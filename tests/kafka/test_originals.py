"""Single records by their place: what Kafka keeps of a request."""

import asyncio

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka.originals import KafkaOriginals
from connectors.memory.broker import MemoryBroker, MemoryOriginals
from domain.errors import Unavailable
from domain.ledger.model import Source
from domain.ports import Record
from tests.conftest import Engines

pytestmark = pytest.mark.integration


@pytest.fixture
def topic(engines: Engines, topic_prefix: str) -> str:
    name, client = f"{topic_prefix}originals", {"bootstrap.servers": engines.kafka}
    admin = AdminClient(client)
    [made] = admin.create_topics([NewTopic(name, 2, 1)]).values()
    made.result(20)
    producer = Producer(client)
    for number in range(300):
        producer.produce(name, f"value {number}", partition=number % 2)
    assert producer.flush(20) == 0
    return name


async def test_records_are_found_by_their_place_and_what_is_gone_is_none(engines: Engines, topic: str) -> None:
    places = [(1, 149), (0, 0), (0, 149), (0, 150), (1, 7), (0, 0)]
    found = await KafkaOriginals({"bootstrap.servers": engines.kafka}).read(
        [Source(topic, partition, offset) for partition, offset in places]
    )
    assert found == [b"value 299", b"value 0", b"value 298", None, b"value 15", b"value 0"]


async def test_nothing_asked_reaches_nobody() -> None:
    assert await KafkaOriginals({"bootstrap.servers": "127.0.0.1:1"}).read([]) == []


async def test_a_broker_that_is_away_is_unavailable(engines: Engines) -> None:
    with pytest.raises(Unavailable):
        await asyncio.wait_for(KafkaOriginals({"bootstrap.servers": "127.0.0.1:1"}).read([Source("t", 0, 0)]), 20)


async def test_the_twin_answers_alike() -> None:
    broker = MemoryBroker()
    partition, offset = broker.append(Record("t", b"value"))
    twin = MemoryOriginals(broker)
    assert await twin.read([Source("t", partition, offset), Source("t", partition, 9)]) == [b"value", None]
