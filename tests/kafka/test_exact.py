"""Batches that come again come as they were, on the real broker."""

import asyncio
from contextlib import aclosing, asynccontextmanager

import pytest

from connectors.kafka.ahead import Bounds
from connectors.kafka.exact import ExactConsumer
from domain.ports import Record

pytestmark = pytest.mark.integration


@pytest.fixture
def member(kafka, topic_prefix):
    """A member of the group `sink`; what it holds at the end of its block is not committed."""

    @asynccontextmanager
    async def member(topic, rows):
        consumer = ExactConsumer(kafka, [topic], "sink", Bounds(rows=rows, seconds=0.3), prefix=topic_prefix)
        try:
            async with asyncio.timeout(60), aclosing(consumer.batches()) as batches:
                yield consumer, batches
        finally:
            await consumer.close()

    return member


def spans(batch):
    """The offsets of each partition in a batch."""
    found = {}
    for item in batch:
        found.setdefault(item.partition, []).append(item.offset)
    return found


async def test_a_batch_that_was_not_committed_comes_again_as_it_was(producer, make_topic, member):
    topic = make_topic(partitions=3)
    await producer.send([Record(topic, b"%d" % n, b"%d" % n) for n in range(200)])
    async with member(topic, rows=40) as (consumer, batches):
        first = await anext(batches)
        await consumer.commit(first)
        lost = await anext(batches)
    await producer.send([Record(topic, b"%d" % n, b"%d" % n) for n in range(200, 400)])
    for _ in range(2):  # a second crash changes nothing
        async with member(topic, rows=1000) as (_consumer, batches):
            again = spans(await anext(batches))
            for partition, offsets in spans(lost).items():
                assert again[partition] == offsets
    async with member(topic, rows=1000) as (consumer, batches):
        seen = spans(first)
        while sum(map(len, seen.values())) < 400:
            batch = await anext(batches)
            for partition, offsets in spans(batch).items():
                seen.setdefault(partition, []).extend(offsets)
            await consumer.commit(batch)
    for offsets in seen.values():  # nothing twice, nothing left out
        assert offsets == list(range(len(offsets)))


async def test_what_was_committed_promises_nothing(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % n) for n in range(10)])
    async with member(topic, rows=10) as (consumer, batches):
        await consumer.commit(await anext(batches))
    await producer.send([Record(topic, b"%d" % n) for n in range(30)])
    async with member(topic, rows=1000) as (_consumer, batches):
        assert spans(await anext(batches)) == {0: list(range(10, 40))}


async def test_a_rewind_takes_the_promise_back(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % n) for n in range(30)])
    async with member(topic, rows=10) as (consumer, batches):
        await consumer.commit(await anext(batches))
        await anext(batches)
        assert await consumer.rewind({(topic, 0): 5}) == {(topic, 0)}
    async with member(topic, rows=1000) as (_consumer, batches):
        assert spans(await anext(batches)) == {0: list(range(5, 30))}
