"""The batch consumer of the sinks: whole batches out, offsets after, committed records only.

One batch is read ahead while the last one is written. Everything that touches librdkafka's consumer runs on one
thread, in short turns, so that a revoked partition is always noticed between two reads, and before a commit.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka import reading
from connectors.kafka.ahead import BOUNDS, Bounds, ReadAhead
from connectors.kafka.errors import translate
from connectors.kafka.outside import Outside
from connectors.kafka.owed import Owed
from domain.errors import Conflict, Unavailable
from domain.ports import Item
from domain.sinks.model import Place

__all__ = ["BatchConsumer", "Bounds"]
log = logging.getLogger(__name__)
T = TypeVar("T")
_TURN_S = 0.25
_TURN_AHEAD_S = 0.02
"""While a batch is being written: its commit waits for the end of a turn."""
_CHUNK = 100  # records between two looks at the size of a batch, which may exceed its bound by as many
_KEEP_ALIVE_S = 5.0


class BatchConsumer:
    """Implements domain.ports.BatchSource. Use it from one event loop.

    connection:  configuration from connectors.kafka.security
    topics, group:  without the prefix
    instance:    the static member's name, unique in the group and the same after a restart; None is a dynamic member
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        topics: Sequence[str],
        group: str,
        bounds: Bounds = BOUNDS,
        *,
        prefix: str = "",
        instance: str | None = None,
    ) -> None:
        self._config = reading.configuration(connection, prefix + group, instance) | reading.patience(bounds.seconds)
        self._names = {prefix + topic: topic for topic in topics}
        self._prefixed = {topic: prefix + topic for topic in topics}
        self._outside = Outside(self._config, self._names)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-consumer")
        self._client: Consumer | None = None
        self._stopping = False
        self._wanted = False
        self._ahead = ReadAhead(bounds)
        self._starts: dict[Place, int] = {}
        self._owed = Owed()
        self._read_at = 0.0
        self._fenced: Conflict | None = None

    async def batches(self) -> AsyncIterator[Sequence[Item]]:
        """See domain.ports.BatchSource. Raises Conflict when another process has the same instance name."""
        keeper = asyncio.create_task(self._keep_alive())
        reader = asyncio.create_task(self._read_ahead())
        try:
            while True:
                self._wanted = True
                await reader
                await self._read_ahead()
                batch = await self._next()
                self._wanted = False
                if not batch and self._stopping:
                    return
                reader = asyncio.create_task(self._read_ahead())
                if batch:
                    yield batch
                del batch  # or it stays in memory while the next one is read
        finally:
            keeper.cancel()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def commit(self, batch: Sequence[Item]) -> None:
        """See domain.ports.BatchSource. Raises Unavailable when the broker does not answer."""
        await self._call(self._commit, batch)

    def stop(self) -> None:
        """See domain.ports.BatchSource; takes effect within 0.25 s."""
        self._stopping = True

    async def close(self) -> None:
        """Leave. A static member's partitions stay reserved for its return until the session times out (10 s)."""
        self.stop()
        await self._call(self._outside.close)
        if self._client is not None:
            await self._call(self._client.close)
            self._client = None
        self._thread.shutdown(wait=False)

    async def lag(self) -> dict[Place, int]:
        """Unfinished records, by (topic, partition) that this member reads. Empty before the first assignment."""
        return await self._call(self._lag)

    async def unread(self) -> dict[Place, int]:
        """See domain.ports.BatchSource."""
        return await self._call(self._outside.lag)

    async def trouble(self) -> str | None:
        """See domain.ports.BatchSource."""
        return await self._call(self._trouble)

    async def rewind(self, starts: Mapping[Place, datetime | int]) -> frozenset[Place]:
        """See domain.ports.BatchSource. Raises Unavailable when the broker does not answer."""
        return await self._call(self._rewind, starts)

    async def _call(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _next(self) -> list[Item]:
        return await self._call(self._ahead.take)

    async def _read_ahead(self) -> None:
        """Until enough was read, or the stop."""
        while not self._stopping and not await self._call(self._read):
            pass

    async def _keep_alive(self) -> None:
        # a sink that waits for its destination must still answer rebalances and stay in its group
        while True:
            await asyncio.sleep(_KEEP_ALIVE_S)
            if time.monotonic() - self._read_at >= _KEEP_ALIVE_S:
                try:
                    await self._call(self._poll_paused)
                except Conflict as error:  # librdkafka tells it once; the next read raises it where somebody listens
                    self._fenced = error

    # --- on the consumer's thread ---

    def _open(self) -> Consumer:
        if self._client is None:
            self._outside.close()
            self._client = Consumer(self._config, logger=log)
            self._client.subscribe(
                list(self._names), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
        return self._client

    def _on_assign(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._starts.pop(self._place(partition), None)

    def _on_revoke(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._forget({self._place(partition) for partition in partitions})

    def _place(self, partition: TopicPartition) -> Place:
        return self._names[partition.topic], partition.partition

    def _poll_paused(self) -> None:
        if self._client is None or self._stopping:
            return
        try:
            paused = self._client.assignment()
            self._client.pause(paused)
            try:
                self._consume(self._client, 1, 0)
            finally:
                # those too that were lost meanwhile: they would come back paused, and never be read again
                self._client.resume(paused)
        except KafkaException as error:
            reading.tell(error.args[0])

    def _read(self) -> bool:
        """One turn. True when enough was read: a batch where one is waited for, a part of one where it is not yet."""
        if self._fenced is not None:
            raise self._fenced
        ahead, now = self._ahead, time.monotonic()
        end = now + (_TURN_S if self._wanted else _TURN_AHEAD_S)
        with suppress(Unavailable):  # whoever commits is told
            self._owed.pay(self._open(), self._prefixed)
        while now < end and not self._stopping:
            wanted = self._wanted
            if ahead.full or (now >= ahead.due if wanted else ahead.far_enough):
                return True
            self._consume(self._open(), min(_CHUNK, ahead.room), min(end, ahead.due if wanted else end) - now)
            self._read_at = now = time.monotonic()
        return False

    def _consume(self, client: Consumer, rows: int, wait: float) -> None:
        messages = reading.consume(client, rows, wait)
        self._add(reading.items(messages, self._names))

    def _add(self, items: Sequence[Item]) -> None:
        self._ahead.add(items, time.monotonic())

    def _commit(self, batch: Sequence[Item]) -> None:
        self._owed.add(self._ahead.finish(batch))
        self._owed.pay(self._open(), self._prefixed)

    def _forget(self, places: Iterable[Place]) -> None:
        """The batch in hand commits nothing of them from here on, and nothing read before is handed out."""
        self._ahead.revoke(places)
        self._owed.forget(places)

    def _rewind(self, starts: Mapping[Place, datetime | int]) -> frozenset[Place]:
        if self._client is None:
            return frozenset()
        try:
            held = {(self._names[here.topic], here.partition): here for here in self._client.assignment()}
            asked = {place: start for place, start in starts.items() if place in held}
            targets = reading.targets(self._client, {place: held[place].topic for place in asked}, asked)
            self._forget(asked)
            for target in targets:
                self._client.seek(target)
            if targets:
                self._client.commit(offsets=targets, asynchronous=False)
        except KafkaException as error:
            raise translate(error.args[0], "read again from an earlier offset") from error
        return frozenset(asked)

    def _lag(self) -> dict[Place, int]:
        if self._client is None:
            return {}
        lag, unfinished = {}, self._ahead.unfinished()
        for here in self._client.position(self._client.assignment()):
            low, high = self._client.get_watermark_offsets(here, cached=True)
            if high >= 0:
                place = self._names[here.topic], here.partition
                position = here.offset if here.offset >= 0 else self._start(place, here, low)
                lag[place] = max(0, high - unfinished.get(place, position))
        return lag

    def _trouble(self) -> str | None:
        if self._client is None:
            return None
        read = {here.topic for here in self._client.assignment()}
        return reading.unreadable(self._client, {topic: self._names[topic] for topic in self._names.keys() - read})

    def _start(self, place: Place, partition: TopicPartition, low: int) -> int:
        """Where reading began in a partition that has delivered nothing yet."""
        if place not in self._starts and self._client is not None:
            self._starts[place] = max(reading.committed(self._client, partition), low, 0)
        return self._starts[place]
