"""The consumer of a sink, with its destination and Kafka away at once."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import aclosing, suppress

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # public, stubs lack it

from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.producer import KafkaProducer
from domain.errors import Unavailable
from domain.ports import Item, Record
from tests.chaos.running import Running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
LONGER_THAN_THE_SESSION_S = 14.0


async def test_what_waited_for_its_sink_through_an_outage_of_kafka_is_read_afterwards(stack: Running) -> None:
    connection = {"bootstrap.servers": stack.env["KAFKA_BOOTSTRAP_SERVERS"]}
    prefix = f"t{secrets.token_hex(4)}."
    admin = AdminClient(connection)
    for created in admin.create_topics([NewTopic(f"{prefix}rows", 4, 1)]).values():
        created.result()
    producer = KafkaProducer(connection, prefix=prefix)
    await producer.send([Record("rows", b"%d" % n, b"%d" % n) for n in range(40)])
    await producer.close()
    consumer = BatchConsumer(
        connection, ["rows"], "sink", Bounds(rows=2, seconds=0.1), prefix=prefix, instance="the-only-one"
    )
    async with aclosing(consumer.batches()) as batches:
        held = await anext(batches)  # and no more for now: its destination is away
        await _without_kafka(stack, consumer, held)
        seen = {item.value for item in held}
        async with asyncio.timeout(60):
            while len(seen) < 40:
                seen |= {item.value for item in await anext(batches)}
    await consumer.close()
    assert seen == {b"%d" % n for n in range(40)}


async def _without_kafka(stack: Running, consumer: BatchConsumer, held: Sequence[Item]) -> None:
    """The session times out, and the partitions are lost while the consumer only keeps itself alive."""
    stack.faults.enter("kafka", "blackhole")
    try:
        committing = asyncio.ensure_future(consumer.commit(held))
        await asyncio.sleep(LONGER_THAN_THE_SESSION_S)
    finally:
        stack.faults.enter("kafka", "pass")
    with suppress(Unavailable):
        await committing
    await asyncio.sleep(2)
