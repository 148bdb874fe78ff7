"""A member of a group that waits for its destination stays, and is told when it was fenced; on the real broker."""

import asyncio
from contextlib import aclosing

import pytest

from connectors.kafka import consumer as consumer_module
from connectors.kafka.consumer import Bounds
from domain.errors import Conflict
from domain.ports import Record
from tests.kafka.members import numbers, read

pytestmark = pytest.mark.integration


async def test_a_member_that_waits_for_its_sink_stays_and_answers(producer, make_topic, member, monkeypatch):
    monkeypatch.setattr(consumer_module, "_KEEP_ALIVE_S", 0.05)
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"1")])
    async with member(topic) as consumer, asyncio.timeout(30), aclosing(consumer.batches()) as source:
        assert numbers([await anext(source)]) == [1]
        await producer.send([Record(topic, b"%d" % i) for i in range(2, 50)])
        await asyncio.sleep(0.5)
        seen = []
        while len(seen) < 48:
            seen += numbers([await anext(source)])
        assert sorted(seen) == list(range(2, 50))


async def test_a_second_process_of_the_same_name_fences_the_first(producer, make_topic, member):
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"1")])
    async with member(topic, instance="sink-1") as first, member(topic, instance="sink-1") as second:
        await read(first, 1, commit=False)
        assert numbers(await read(second, 1, commit=False)) == [1]
        with pytest.raises(Conflict, match="instance name"):
            await read(first, 10, commit=False)


async def test_one_that_was_fenced_while_its_batch_was_written_is_told_when_it_reads_on(
    producer, make_topic, member, monkeypatch
):
    """librdkafka tells it once: to whoever polls next, and that is what keeps the member alive."""
    monkeypatch.setattr(consumer_module, "_KEEP_ALIVE_S", 0.1)
    topic = make_topic(partitions=1)
    await producer.send([Record(topic, b"%d" % i) for i in range(40)])
    small = Bounds(rows=10, seconds=0.1)
    async with member(topic, small, "sink-1") as first, member(topic, small, "sink-1") as second, asyncio.timeout(40):
        source = first.batches()
        await anext(source)
        assert numbers(await read(second, 10, commit=False)) == list(range(10))
        await asyncio.sleep(4)  # longer than a heartbeat
        with pytest.raises(Conflict, match="instance name"):
            await _to_the_end(source)


async def _to_the_end(source):
    async for _ in source:
        pass
