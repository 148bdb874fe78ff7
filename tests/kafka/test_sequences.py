"""What a broker says of an idempotent producer's batches that come in the wrong order: why ours sends one at a time.

A broker that was killed knows nothing of producers it had nothing of yet. librdkafka sends what was under way anew, not
always in its order, and takes the answer to a later batch for one to all before it
(docs/decisions/0022-one-produce-request-at-a-time.md).
"""

import asyncio

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NoError, OutOfOrderSequenceNumber, for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

pytestmark = pytest.mark.integration
ALL, EPOCH = -1, 0


class Fresh:
    """A producer of which the broker knows the id alone. Sends single batches, numbered as the test says."""

    def __init__(self, client: AIOKafkaClient, topic: str, id: int) -> None:
        self._client, self._topic, self._id = client, topic, id

    async def sends(self, sequence: int) -> type[Exception]:
        while getattr(said := await self._send(sequence), "retriable", False):
            await asyncio.sleep(0.1)  # the topic is new
        return said

    async def _send(self, sequence: int) -> type[Exception]:
        batch = DefaultRecordBatchBuilder(2, 0, 0, self._id, EPOCH, sequence, 1 << 16)
        batch.append(0, timestamp=1, key=None, value=b"%d" % sequence, headers=[])
        request = ProduceRequest(None, ALL, 5_000, [(self._topic, [(0, bytes(batch.build()))])])
        answer = await self._client.send(self._client.get_random_node(), request)
        ((_, ((_, code, *_),)),) = answer.topics
        said: type[Exception] = for_code(code)
        return said


@pytest.fixture
async def fresh(engines, make_topic, topic_prefix):
    client = AIOKafkaClient(bootstrap_servers=engines.kafka)
    await client.bootstrap()
    answer = await client.send(client.get_random_node(), InitProducerIdRequest(None, 1_000))
    yield Fresh(client, topic_prefix + make_topic(partitions=1), answer.producer_id)
    await client.close()


async def test_S5_an_unknown_producer_may_begin_with_any_batch(fresh) -> None:
    assert await fresh.sends(1) is NoError


async def test_S5_of_a_known_producer_none_may_be_missing(fresh) -> None:
    assert await fresh.sends(0) is NoError
    assert await fresh.sends(2) is OutOfOrderSequenceNumber
