"""How far consumer groups are, from the broker's descriptions of them: for whoever is a member of none.

aiokafka and not librdkafka, whose admin requests may abort the process as a broker goes away.
"""

import asyncio
from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from connectors.kafka.group import NO_ANSWER, silent
from domain.group import Place
from domain.lag import Offsets, Standing

_PEEK_MS = 2_000


class Groups:
    """Use it as an async context manager. `connection`: from connectors.kafka.security.aiokafka."""

    def __init__(self, connection: Mapping[str, Any], timeout_s: float = 5.0) -> None:
        patience = {"request_timeout_ms": int(timeout_s * 1000), **connection}
        self._admin = AIOKafkaAdminClient(**patience)
        self._reader = AIOKafkaConsumer(isolation_level="read_committed", enable_auto_commit=False, **patience)
        self._timeout_s = timeout_s
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Raises Unavailable when no broker answers."""
        for client, end in ((self._admin, self._admin.close), (self._reader, self._reader.stop)):
            self._stack.push_async_callback(end)
            try:
                async with asyncio.timeout(self._timeout_s):
                    await client.start()
            except NO_ANSWER as error:
                await self._stack.aclose()
                raise silent("its consumer groups", error) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def names(self, beginning: str) -> list[str]:
        """Groups that the brokers remember, with members or without. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                listed = await self._admin.list_consumer_groups()
        except NO_ANSWER as error:
            raise silent("its consumer groups", error) from error
        return sorted(row[0] for row in listed if row[0].startswith(beginning))

    async def look(self, group: str, topics: Collection[str] = ()) -> Standing:
        """At `topics`, and at every one the group committed in; it may not exist. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._look(group, topics)
        except NO_ANSWER as error:
            raise silent("its consumer groups", error) from error

    async def holds(self, seen: Standing) -> bool:
        """Whether a record is before the group: transactions leave marks behind theirs, which nobody is given."""
        before = {TopicPartition(*name): place.done for name, place in seen.places.items() if place.lag}
        if not before:
            return False
        self._reader.assign(list(before))
        for place, offset in before.items():
            self._reader.seek(place, offset)
        try:
            return any((await self._reader.getmany(timeout_ms=_PEEK_MS, max_records=1)).values())
        except NO_ANSWER as error:
            raise silent("its consumer groups", error) from error

    async def _look(self, group: str, topics: Collection[str]) -> Standing:
        committed = await self._admin.list_consumer_group_offsets(group)
        (described,) = await self._admin.describe_consumer_groups([group])
        members = described.groups[0][5]
        read = {*topics, *(place.topic for place in committed)}
        partitions = await self._partitions(read)
        starts = await self._reader.beginning_offsets(partitions)
        ends = await self._reader.end_offsets(partitions)
        places: dict[Place, Offsets] = {}
        for place in partitions:
            known = committed.get(place)
            # what was never committed is read from the beginning, and what is no longer kept is not behind
            done = max(known.offset if known else 0, starts[place])
            places[place.topic, place.partition] = Offsets(done, ends[place])
        return Standing(len(members), places)

    async def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        """Of those topics that there are. All are asked for: a broker may create one that is asked for by name."""
        rows = sorted((row["topic"], row["partitions"]) for row in await self._admin.describe_topics())
        return [TopicPartition(name, part["partition"]) for name, parts in rows if name in topics for part in parts]
