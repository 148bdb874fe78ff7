"""The batch consumer on the real broker."""

import asyncio
import gc
from contextlib import aclosing
from datetime import timedelta

import pytest
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from connectors.kafka.consumer import BatchConsumer, Bounds
from domain.errors import Unavailable
from domain.ports import Record
from tests.kafka.members import numbers, read

pytestmark = pytest.mark.integration


async def test_items_carry_what_the_record_had(producer, make_topic, member):
    topic = make_topic()
    await producer.send([Record(topic, b"1", b"key", [("name", b"value"), ("empty", None)])])
    async with member(topic) as consumer:
        [[item]] = await read(consumer, 1)
    assert (item.topic, item.key, item.value, item.offset) == (topic, b"key", b"1", 0)
    assert list(item.headers) == [("name", b"value"), ("empty", b"")]
    assert item.timestamp.tzinfo is not None


async def test_items_keep_no_message_of_librdkafka(producer, make_topic, member):
    topic, headers = make_topic(), [("name", b"value"), ("other", b"\x00\xff")]
    await producer.send([Record(topic, b"%d" % n, b"key", headers) for n in range(50)])
    async with member(topic) as consumer:
        batches = await read(consumer, 50)
        gc.collect()
        assert not [one for one in gc.get_objects() if type(one) is Message]
    assert all(list(item.headers) == headers for batch in batches for item in batch)


async def test_a_batch_is_bounded_in_rows_and_in_bytes(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%0100d" % i) for i in range(1_600)])
    async with member(topic, Bounds(rows=400, seconds=60)) as consumer:
        batches = await read(consumer, 1_600)
    assert [len(batch) for batch in batches] == [400] * 4
    assert numbers(batches) == list(range(1_600))
    await producer.send([Record(topic, b"%0100d" % i) for i in range(1_600)])
    async with member(topic, Bounds(size=20_000, seconds=60)) as consumer:
        assert [len(batch) for batch in await read(consumer, 1_600)] == [200] * 8


async def test_what_was_committed_stays_and_what_was_not_comes_again(producer, make_topic, member):
    topic = make_topic()
    await producer.send([Record(topic, b"%d" % i) for i in range(100)])
    async with member(topic) as consumer:
        await read(consumer, 100)
    await producer.send([Record(topic, b"%d" % i) for i in range(100, 110)])
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 10, commit=False)) == list(range(100, 110))
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 10)) == list(range(100, 110))


async def test_tombstones_and_aborted_records_never_appear(producer, make_topic, member, kafka, topic_prefix):
    topic = make_topic(partitions=1)
    transactional = Producer({**kafka, "transactional.id": topic_prefix})
    transactional.init_transactions(20)
    transactional.begin_transaction()
    transactional.produce(topic_prefix + topic, b"7")
    transactional.flush(10)
    transactional.abort_transaction(20)
    await producer.send([Record(topic, None, b"key"), Record(topic, b"8")])
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 1)) == [8]


async def test_two_members_share_the_partitions_and_nothing_is_missed(producer, make_topic, member):
    topic = make_topic()
    await producer.send([Record(topic, b"%d" % i) for i in range(200)])
    async with member(topic) as first, member(topic) as second:
        seen = await read(first, 200)
        joined = asyncio.create_task(read(second, 20))
        going_on = asyncio.create_task(read(first, 10**6))
        for i in range(200, 4_000, 100):
            if joined.done():
                break
            await producer.send([Record(topic, b"%d" % n, b"%d" % n) for n in range(i, i + 100)])
            await asyncio.sleep(0.2)
        assert numbers(await joined)
        first.stop()
        seen += await going_on
    assert set(range(200)) <= set(numbers(seen))


async def test_a_partition_that_left_is_not_committed_by_its_former_owner(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"1")])
    async with member(topic) as consumer:
        [batch] = await read(consumer, 1, commit=False)
        consumer._on_revoke(None, consumer._client.assignment())
        await consumer.commit(batch)
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 1)) == [1]


async def test_lag_counts_what_was_not_finished(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % i) for i in range(30)])
    async with member(topic, Bounds(rows=10)) as consumer:
        assert await consumer.lag() == {}
        await read(consumer, 10, commit=False)
        assert await consumer.lag() == {(topic, 0): 30}
    async with member(topic, Bounds(rows=10)) as consumer:
        await read(consumer, 10)
        assert await consumer.lag() == {(topic, 0): 20}
    async with member(topic, Bounds(rows=20)) as consumer:
        await read(consumer, 20)
        assert await consumer.lag() == {(topic, 0): 0}
    async with member(topic) as consumer, aclosing(consumer.batches()) as source:
        waiting = asyncio.ensure_future(anext(source))
        async with asyncio.timeout(20):
            while await consumer.lag() != {(topic, 0): 0}:
                await asyncio.sleep(0.05)
        consumer.stop()
        with pytest.raises(StopAsyncIteration):
            await waiting


async def test_what_is_unread_is_told_without_joining_the_group(producer, make_topic, member):
    topic = make_topic(partitions=2)
    await producer.send([Record(topic, b"%d" % i) for i in range(10)])
    async with member(topic, instance="sink-0") as outside:
        assert sum((await outside.unread()).values()) == 10
        assert set(await outside.unread()) == {(topic, 0), (topic, 1)}
        async with member(topic) as consumer:
            await read(consumer, 10)
            await producer.send([Record(topic, b"%d" % i) for i in range(3)])
            assert sum((await outside.unread()).values()) == 3
            await read(consumer, 3)
            assert sum((await outside.unread()).values()) == 0
            assert len(await consumer.lag()) == 2  # it still has every partition
        await producer.send([Record(topic, b"13")])
        assert numbers(await read(outside, 1)) == [13]


async def test_what_is_unread_is_unknown_while_no_broker_answers(make_topic):
    consumer = BatchConsumer({"bootstrap.servers": "127.0.0.1:1"}, [make_topic()], "sink")
    with pytest.raises(Unavailable, match="how far the group is"):
        await consumer.unread()
    await consumer.close()


async def test_the_next_batch_is_read_while_the_last_is_written_and_neither_is_committed(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % i) for i in range(100)])
    async with member(topic, Bounds(rows=20)) as consumer, asyncio.timeout(30), aclosing(consumer.batches()) as source:
        batch = await anext(source)
        while (topic, 0) not in consumer._ahead.starts():
            await asyncio.sleep(0.01)
        assert await consumer.lag() == {(topic, 0): 100}
        await consumer.commit(batch)
        assert await consumer.lag() == {(topic, 0): 80}
        assert numbers([await anext(source)]) == list(range(20, 40))
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 80)) == list(range(20, 100))


async def test_of_two_batches_in_hand_the_first_is_committed_alone(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % i) for i in range(100)])
    async with member(topic, Bounds(rows=20)) as consumer, asyncio.timeout(30), aclosing(consumer.batches()) as source:
        first, second = await anext(source), await anext(source)
        assert await consumer.lag() == {(topic, 0): 100}
        await consumer.commit(first)
        assert await consumer.lag() == {(topic, 0): 80}
        assert numbers([second]) == list(range(20, 40))
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 80)) == list(range(20, 100))


async def test_what_was_read_ahead_of_a_partition_that_left_is_dropped(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % i) for i in range(100)])
    async with member(topic, Bounds(rows=20)) as consumer, asyncio.timeout(30), aclosing(consumer.batches()) as source:
        batch = await anext(source)
        while not consumer._ahead.far_enough:
            await asyncio.sleep(0.01)
        read_ahead = set(range(20, 30))
        await consumer._call(consumer._on_revoke, None, consumer._client.assignment())
        await consumer.commit(batch)
        assert not read_ahead & set(numbers([await anext(source)]))
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 100)) == list(range(100))


async def test_a_stop_hands_out_what_was_read_and_ends(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % i) for i in range(15)])
    async with member(topic, Bounds(rows=10, seconds=60)) as consumer, asyncio.timeout(30):
        seen = []
        async for batch in consumer.batches():
            while (topic, 0) not in consumer._ahead.starts() and not consumer._stopping:
                await asyncio.sleep(0.01)
            consumer.stop()
            seen.append(batch)
            await consumer.commit(batch)
    assert numbers(seen) == list(range(sum(map(len, seen))))
    assert [len(batch) for batch in seen] == [10, 5]


class _RefusedOnce:
    """librdkafka's client in a rebalance that leaves every partition where it is: its next commit is refused."""

    def __init__(self, client):
        self._client, self.refused = client, 0

    def __getattr__(self, name):
        return getattr(self._client, name)

    def commit(self, **offsets):
        if not self.refused:
            self.refused += 1
            raise KafkaException(KafkaError(KafkaError.ILLEGAL_GENERATION))
        return self._client.commit(**offsets)


async def test_what_a_rebalance_refused_to_commit_is_committed_after_it(producer, make_topic, member, topic_prefix):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % n) for n in range(10)])
    async with member(topic) as consumer, asyncio.timeout(30), aclosing(consumer.batches()) as batches:
        batch = await anext(batches)
        consumer._client = client = _RefusedOnce(consumer._client)
        await consumer.commit(batch)
        assert client.refused == 1
        ends = [TopicPartition(topic_prefix + topic, 0)]
        while (await consumer._call(consumer._client.committed, ends, 5))[0].offset != 10:
            await asyncio.sleep(0.05)


async def test_two_slow_members_miss_nothing_while_partitions_move(producer, make_topic, member):
    topic, seen = make_topic(), []
    await producer.send([Record(topic, b"%d" % n, b"%d" % n) for n in range(4_000)])

    async def carry(consumer):
        async for batch in consumer.batches():
            await asyncio.sleep(0.05)
            seen.append(batch)
            await consumer.commit(batch)

    bounds = Bounds(rows=50, seconds=0.1)
    async with member(topic, bounds) as first, member(topic, bounds) as second, asyncio.timeout(60):
        carrying = [asyncio.create_task(carry(first))]
        while not seen:
            await asyncio.sleep(0.01)
        carrying.append(asyncio.create_task(carry(second)))
        left = {}
        while len(left) < 4 or any(left.values()):
            await asyncio.sleep(0.1)
            left = await first.lag() | await second.lag()
        first.stop()
        second.stop()
        await asyncio.gather(*carrying)
        assert set(numbers(seen)) == set(range(4_000))
    async with member(topic) as third:
        await producer.send([Record(topic, b"4000")])
        assert numbers(await read(third, 1)) == [4_000]


async def test_a_partition_is_read_again_from_an_offset_or_a_time(producer, make_topic, member):
    topic = make_topic(partitions=2)
    await producer.send([Record(topic, b"%d" % n, b"a") for n in range(10)])
    async with member(topic) as consumer, asyncio.timeout(60):
        batches = consumer.batches()
        async with aclosing(batches):
            first = await anext(batches)
            place = (topic, first[0].partition)
            assert numbers([first]) == list(range(10))
            await consumer.commit(first)
            middle = first[-1].timestamp + timedelta(milliseconds=1)
            await asyncio.sleep(0.05)
            await producer.send([Record(topic, b"%d" % n, b"a") for n in range(10, 15)])
            in_hand = await anext(batches)
            assert await consumer.rewind({place: 7, (topic, 99): 0}) == {place}
            await consumer.commit(in_hand)  # of an earlier life: it must not undo the rewind
            assert numbers([await anext(batches)]) == list(range(7, 15))
            assert await consumer.rewind({place: middle}) == {place}
            again = await anext(batches)
            assert numbers([again]) == list(range(10, 15))
            assert await consumer.rewind({place: 10_000}) == {place}
            await producer.send([Record(topic, b"15", b"a")])
            assert numbers([await anext(batches)]) == [15]
            assert await consumer.rewind({place: middle + timedelta(days=1)}) == {place}
    async with member(topic) as consumer:
        await producer.send([Record(topic, b"16", b"a")])
        assert numbers(await read(consumer, 1)) == [16]  # what was rewound to is what is committed


async def test_a_rewind_is_durable_at_once(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % n) for n in range(10)])
    async with member(topic) as consumer:
        await read(consumer, 10)
        assert await consumer.rewind({(topic, 0): 4}) == {(topic, 0)}
    async with member(topic) as consumer:
        assert numbers(await read(consumer, 6)) == list(range(4, 10))


async def test_a_topic_that_does_not_exist_is_told_and_read_as_soon_as_it_is_there(
    producer, make_topic, member, topic_prefix
):
    async with member("things") as consumer:
        assert await consumer.trouble() is None  # it has not begun
        reading = asyncio.ensure_future(read(consumer, 1))
        async with asyncio.timeout(60):
            while (trouble := await consumer.trouble()) is None:
                await asyncio.sleep(0.05)
        assert f"the topic {topic_prefix}things does not exist; create it" in trouble
        await producer.send([Record(make_topic(), b"1")])
        assert numbers(await reading) == [1]
        assert await consumer.trouble() is None


async def test_a_topic_of_ours_that_does_not_exist_names_the_command_that_makes_it(member):
    async with member("prompt.results") as consumer:
        reading = asyncio.ensure_future(read(consumer, 1))
        async with asyncio.timeout(60):
            while (trouble := await consumer.trouble()) is None:
                await asyncio.sleep(0.05)
        reading.cancel()
        assert "run `structured-prompt topics apply`" in trouble
