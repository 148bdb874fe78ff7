"""A topic of one's own on the real broker."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.producer import KafkaProducer

QUICK = Bounds(seconds=0.1)


@pytest.fixture
def kafka(engines) -> dict[str, str]:
    """The connection of confluent-kafka clients."""
    return {"bootstrap.servers": engines.kafka}


@pytest.fixture
async def producer(kafka, topic_prefix) -> AsyncIterator[KafkaProducer]:
    producer = KafkaProducer(kafka, timeout_s=10, prefix=topic_prefix)
    yield producer
    await producer.close()


@pytest.fixture
def make_topic(kafka, topic_prefix) -> Iterator[Callable[..., str]]:
    """Creates `topic` under this test's prefix; returns the name without the prefix."""
    client = AdminClient(kafka)
    made = []

    def make(topic: str = "things", partitions: int = 4, **config: str) -> str:
        new = NewTopic(topic_prefix + topic, partitions, 1, config=config)
        client.create_topics([new])[topic_prefix + topic].result(10)
        made.append(topic_prefix + topic)
        return topic

    yield make
    for deleted in (client.delete_topics(made) if made else {}).values():
        deleted.result(10)


@pytest.fixture
def member(kafka, topic_prefix):
    """A member of the group `sink`, closed at the end of its block."""

    @asynccontextmanager
    async def member(topic, bounds=QUICK, instance=None):
        consumer = BatchConsumer(kafka, [topic], "sink", bounds, prefix=topic_prefix, instance=instance)
        try:
            yield consumer
        finally:
            await consumer.close()

    return member
