"""The producer on the real broker, and without one."""

import asyncio
import json
import time
from contextlib import suppress

import pytest
from aiokafka.partitioner import DefaultPartitioner
from confluent_kafka import Consumer, KafkaError, TopicPartition

from connectors.kafka.producer import KafkaProducer
from domain.errors import Permanent, Unavailable
from domain.ports import Record
from tests.held import is_freed_after

pytestmark = pytest.mark.integration


def everything(kafka, topic, count):
    consumer = Consumer({**kafka, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    found, deadline = [], time.monotonic() + 20
    while len(found) < count and time.monotonic() < deadline:
        found += consumer.consume(count, 0.2)
    consumer.close()
    return found


async def test_a_batch_is_there_when_send_returns(producer, make_topic, kafka, topic_prefix):
    topic = make_topic()
    await producer.open()
    await producer.send([Record(topic, b"v%d" % i, b"k%d" % i, [("h", b"%d" % i)]) for i in range(500)])
    found = await asyncio.to_thread(everything, kafka, topic_prefix + topic, 500)
    assert {(m.key(), m.value(), m.headers()[0]) for m in found} == {
        (b"k%d" % i, b"v%d" % i, ("h", b"%d" % i)) for i in range(500)
    }


async def test_a_key_goes_to_the_partition_that_java_clients_choose(producer, make_topic, kafka, topic_prefix):
    topic = make_topic(partitions=7)
    keys = [b"tenant-%d" % i for i in range(40)]
    await producer.send([Record(topic, b"", key) for key in keys])
    found = await asyncio.to_thread(everything, kafka, topic_prefix + topic, 40)
    partitions = list(range(7))
    assert {m.key(): m.partition() for m in found} == {
        key: DefaultPartitioner()(key, partitions, partitions) for key in keys
    }


async def test_many_senders_at_once_each_get_their_answer(producer, make_topic):
    topic = make_topic()
    sends = (producer.send([Record(topic, b"x", b"%d" % i)] * 3) for i in range(200))
    assert await asyncio.gather(*sends) == [None] * 200


async def test_a_full_queue_holds_the_sender_back_instead_of_failing(producer, make_topic, kafka, topic_prefix):
    topic = make_topic()
    # more than librdkafka queues at once (100,000)
    await producer.send([Record(topic, b"", None)] * 130_000)
    assert _count(kafka, topic_prefix + topic) == 130_000


def _count(kafka, topic):
    reader = Consumer({**kafka, "group.id": "counts"})
    try:
        partitions = reader.list_topics(topic, timeout=10).topics[topic].partitions
        ends = [reader.get_watermark_offsets(TopicPartition(topic, number), timeout=10) for number in partitions]
        return sum(high - low for low, high in ends)
    finally:
        reader.close()


async def test_a_record_that_is_too_large_is_refused_for_good(producer, make_topic):
    topic = make_topic(**{"max.message.bytes": "1000"})
    with pytest.raises(Permanent, match="larger than the topic takes"):
        await producer.send([Record(topic, b"x" * 2000)])
    with pytest.raises(Permanent, match="larger than the topic takes"):
        await producer.send([Record(topic, b"small"), Record(topic, b"x" * 5_000_000)])
    await producer.send([Record(topic, b"small")])


async def test_a_missing_topic_is_unavailable_and_named(kafka, topic_prefix):
    producer = KafkaProducer(kafka, timeout_s=1, prefix=topic_prefix)
    with pytest.raises(Unavailable):
        await producer.send([Record("nowhere", b"x")])
    await producer.close()


async def test_why_a_topic_cannot_be_written_is_known_before_anything_is(producer, make_topic, kafka, topic_prefix):
    topic = make_topic()
    assert await producer.objection(topic) is None
    missing = f"the topic {topic_prefix}nowhere does not exist; create it"
    assert await producer.objection("nowhere") == missing
    assert await producer.objection("nowhere") == missing, "the question made it"


async def test_nothing_is_sent_for_an_empty_batch_nor_is_a_broker_asked_for():
    producer = KafkaProducer({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=1)
    await producer.send([])
    with pytest.raises(Unavailable):
        await producer.send([Record("things", b"x")])
    await producer.close()


async def test_a_fatal_error_replaces_the_client(producer, make_topic):
    topic = make_topic()
    await producer.send([Record(topic, b"x")])
    fenced = producer._client
    fenced.fail(KafkaError(KafkaError._FENCED, "fenced", fatal=True), "produce")
    await producer.send([Record(topic, b"x")])
    assert producer._client is not fenced


async def test_a_failure_keeps_no_records():
    async def sends(records):
        records.append(Record("things", b"x"))
        with suppress(Unavailable):
            await lonely.send(records)
            raise AssertionError(records)
        await lonely.close()  # until then the client knows them too

    lonely = KafkaProducer({"bootstrap.servers": "127.0.0.1:1"}, timeout_s=0.1)
    assert await is_freed_after(sends)


async def test_a_sender_may_give_up(producer, make_topic):
    topic = make_topic()
    send = asyncio.create_task(producer.send([Record(topic, b"x")] * 1000))
    await asyncio.sleep(0)
    send.cancel()
    with pytest.raises(asyncio.CancelledError):
        await send
    await producer.send([Record(topic, b"x")])


@pytest.fixture
async def silent_broker():
    """Accepts connections and never answers."""
    server = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), "127.0.0.1", 0)
    yield {"bootstrap.servers": f"127.0.0.1:{server.sockets[0].getsockname()[1]}"}
    server.close()


@pytest.mark.parametrize("connection", ["dead", "silent"])
async def test_without_a_broker_send_is_unavailable_within_its_time(connection, silent_broker):
    dead = {"bootstrap.servers": "127.0.0.1:1"}
    producer = KafkaProducer(dead if connection == "dead" else silent_broker, timeout_s=0.5)
    started = time.monotonic()
    with pytest.raises(Unavailable, match=r"0\.5 s"):
        await producer.send([Record("prompt.requests", b"x")])
    with pytest.raises(Unavailable, match="is Kafka running"):
        await producer.open()
    assert time.monotonic() - started < 1.5
    await producer.close()


async def test_S5_no_request_is_sent_before_the_last_one_was_answered(kafka, make_topic, topic_prefix):
    """So nothing overtakes that is sent anew: docs/decisions/0022-one-produce-request-at-a-time.md."""
    waiting = []
    watched = {"statistics.interval.ms": 1, "stats_cb": lambda told: waiting.extend(_unanswered(told))}
    producer = KafkaProducer({**kafka, **watched}, timeout_s=10, prefix=topic_prefix)
    topic = make_topic(partitions=12)
    for _ in range(5):
        await producer.send([Record(topic, b"x" * 500, b"%d" % number) for number in range(20_000)])
    await producer.close()
    assert max(waiting) == 1


def _unanswered(statistics):
    """Requests that each broker has not answered yet."""
    return [broker["waitresp_cnt"] for broker in json.loads(statistics)["brokers"].values()]
