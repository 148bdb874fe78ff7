"""A consumer group as the broker sees it: the second opinion about a consumer that may not know that it is stuck.

aiokafka and not librdkafka, whose admin requests may abort the process (`eonce->refcnt > 0`) as a broker goes away.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from aiokafka import errors
from aiokafka.client import AIOKafkaClient, CoordinationType
from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.offset import OffsetRequest
from aiokafka.structs import TopicPartition

from domain.errors import Unavailable
from domain.group import GroupView, Place

READ_COMMITTED = 1
NOT_A_REPLICA = -1
LATEST = -1
REBALANCING = ("PreparingRebalance", "CompletingRebalance")
NO_ANSWER = (errors.KafkaError, OSError, TimeoutError, RuntimeError)


class GroupObserver:
    """Looks at `group` and the ends of its `topics`, both with their prefix. For one event loop.

    connection: from connectors.kafka.security.aiokafka. It connects at the first look, and anew after a failed one.
    """

    def __init__(
        self, connection: Mapping[str, Any], group: str, topics: Sequence[str], timeout_s: float = 5.0
    ) -> None:
        self._connection = connection
        self._group = group
        self._topics = topics
        self._timeout_s = timeout_s
        self._client: AIOKafkaClient | None = None

    async def look(self) -> GroupView:
        """Raises Unavailable when the broker does not answer within the time-out."""
        try:
            async with asyncio.timeout(self._timeout_s):
                client = await self._open()
                ends = await self._ends(client)
                members, stable = await self._members(client)
        except NO_ANSWER as error:
            await self.close()
            raise silent(f"the group {self._group}", error) from error
        return GroupView(ends, members, stable)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            with suppress(*NO_ANSWER):
                await client.close()

    async def _open(self) -> AIOKafkaClient:
        if self._client is None:
            milliseconds = int(self._timeout_s * 1000)
            self._client = AIOKafkaClient(request_timeout_ms=milliseconds, **self._connection)
            await self._client.bootstrap()
        return self._client

    async def _ends(self, client: AIOKafkaClient) -> dict[Place, int]:
        by_leader: dict[int, dict[str, list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
        for topic in self._topics:
            for number in await client._wait_on_metadata(topic):
                leader = client.cluster.leader_for_partition(TopicPartition(topic, number))
                by_leader[leader][topic].append((number, LATEST))
        ends = {}
        for leader, wanted in by_leader.items():
            request = OffsetRequest(NOT_A_REPLICA, READ_COMMITTED, list(wanted.items()))
            for topic, partitions in (await client.send(leader, request)).topics:
                for number, code, _, offset, *_ in partitions:
                    _check(code)
                    ends[topic, number] = offset
        return ends

    async def _members(self, client: AIOKafkaClient) -> tuple[dict[str, frozenset[Place]], bool]:
        coordinator = await client.coordinator_lookup(CoordinationType.GROUP, self._group)
        answer = await client.send(coordinator, DescribeGroupsRequest([self._group]))
        code, _, state, _, _, members, *_ = answer.groups[0]
        _check(code)
        given = {member[0]: _assigned(member[-1]) for member in members}
        return given, state not in REBALANCING


def silent(of: str, error: BaseException) -> Unavailable:
    """`of` is what was asked for."""
    return Unavailable(f"Kafka cannot tell of {of}: {str(error) or type(error).__name__}; is it running?")


def _assigned(encoded: bytes) -> frozenset[Place]:
    if not encoded:
        return frozenset()
    found = ConsumerProtocol.ASSIGNMENT.decode(encoded).assignment
    return frozenset((topic, number) for topic, partitions in found for number in partitions)


def _check(code: int) -> None:
    if (error := errors.for_code(code)) is not errors.NoError:
        raise error
