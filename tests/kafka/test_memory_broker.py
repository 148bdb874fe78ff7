"""The in-memory twin behaves as the real broker does, as far as the stages and sinks can see."""

import asyncio

import pytest

from connectors.memory.broker import MemoryBroker, MemoryProducer, MemorySource
from domain.errors import Unavailable
from domain.ports import Record


async def first(source):
    async for batch in source.batches():
        return batch
    return []


async def test_what_was_not_committed_comes_again():
    broker = MemoryBroker()
    await MemoryProducer(broker).send([Record("things", b"%d" % i, b"k%d" % i) for i in range(10)])
    batch = await first(MemorySource(broker, ["things"], "sink"))
    assert sorted(item.value for item in batch) == [b"%d" % i for i in range(10)]
    again = MemorySource(broker, ["things"], "sink")
    assert await first(again) == batch
    await again.commit(batch)
    assert await MemorySource(broker, ["things"], "sink").unread() == {("things", p): 0 for p in range(4)}


async def test_batches_are_bounded_and_tombstones_left_out():
    broker = MemoryBroker(partitions=1)
    await MemoryProducer(broker).send([Record("things", b"1"), Record("things", None), Record("things", b"2")])
    source = MemorySource(broker, ["things"], "sink", rows=1)
    assert [item.value for item in await first(source)] == [b"1"]
    [item] = await first(source)
    assert (item.value, item.offset) == (b"2", 2)
    assert broker.values("things") == [b"1", b"2"]


async def test_a_waiting_source_sees_what_arrives_and_ends_when_stopped():
    broker = MemoryBroker()
    source = MemorySource(broker, ["things"], "sink")
    waiting = asyncio.create_task(first(source))
    await asyncio.sleep(0)
    broker.append(Record("things", b"x"))
    assert [item.value for item in await waiting] == [b"x"]
    ending = asyncio.create_task(first(source))
    await asyncio.sleep(0)
    source.stop()
    assert await ending == []


async def test_a_failure_is_raised_once_before_anything_is_appended():
    broker = MemoryBroker()
    producer = MemoryProducer(broker)
    producer.failures.append(Unavailable("down"))
    with pytest.raises(Unavailable):
        await producer.send([Record("things", b"x")])
    await producer.send([Record("things", b"x")])
    assert broker.values("things") == [b"x"]
