"""What the broker says of a group, on the real broker."""

import asyncio
import socket
from collections.abc import Callable

import pytest
from confluent_kafka import Consumer, Producer

from connectors.kafka.group import GroupObserver
from domain.errors import Unavailable
from tests.conftest import Engines

pytestmark = pytest.mark.integration


@pytest.fixture
def topic(make_topic: Callable[..., str], topic_prefix: str) -> str:
    return topic_prefix + make_topic("observed", 3)


def observer(engines: Engines, topic: str, group: str = "") -> GroupObserver:
    return GroupObserver({"bootstrap_servers": engines.kafka}, group or f"{topic}.group", [topic])


async def test_S6_it_tells_who_reads_what_and_where_it_ends(engines: Engines, topic: str) -> None:
    producer = Producer({"bootstrap.servers": engines.kafka})
    for _ in range(5):
        producer.produce(topic, b"x", partition=1)
    producer.flush()
    consumer = Consumer({"bootstrap.servers": engines.kafka, "group.id": f"{topic}.group"})
    consumer.subscribe([topic])
    looking = observer(engines, topic)
    try:
        while len(consumer.assignment()) < 3:
            await asyncio.to_thread(consumer.poll, 0.2)
        view = await looking.look()
        assert view.ends == {(topic, 0): 0, (topic, 1): 5, (topic, 2): 0}
        assert list(view.members.values()) == [frozenset(view.ends)]
        assert (view.stable, view.unread) == (True, frozenset())
        consumer.close()
        assert (await looking.look()).unread == frozenset(view.ends)
    finally:
        await looking.close()


async def test_S6_what_is_not_committed_is_not_there_to_be_read(engines: Engines, topic: str) -> None:
    upstream = Producer({"bootstrap.servers": engines.kafka, "transactional.id": topic})
    upstream.init_transactions()
    upstream.begin_transaction()
    upstream.produce(topic, b"x", partition=0)
    upstream.flush()
    looking = observer(engines, topic)
    try:
        assert (await looking.look()).ends[topic, 0] == 0
    finally:
        await looking.close()
        upstream.abort_transaction()


async def test_a_broker_that_is_away_is_said_to_be_away_and_is_found_again(engines: Engines, topic: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        looking = GroupObserver({"bootstrap_servers": address}, "nobody", [topic], timeout_s=0.5)
        with pytest.raises(Unavailable, match="the group nobody"):
            await looking.look()
    with pytest.raises(Unavailable, match="the group nobody"):
        await looking.look()
    again = observer(engines, topic, "nobody")
    try:
        assert (await again.look()).members == {}
    finally:
        await again.close()
