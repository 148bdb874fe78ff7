"""The batch consumer of the sinks: whole batches out, offsets after, committed records only.

Everything that touches librdkafka's consumer runs on one thread, so that a revoked partition is always noticed
between two reads and never in the middle of one.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from confluent_kafka import Consumer, KafkaException, Message, TopicPartition

from connectors.kafka import reading
from connectors.kafka.errors import translate
from domain.errors import Conflict
from domain.ports import Item

log = logging.getLogger(__name__)
T = TypeVar("T")
_SLICE_S = 0.25
_CHUNK = 500
_KEEP_ALIVE_S = 5.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """A batch ends with `rows` records, or `size` bytes of values, or `seconds` after its first record."""

    rows: int = 10_000
    size: int = 32 * 1024 * 1024
    seconds: float = 1.0


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
        bounds: Bounds = Bounds(),
        *,
        prefix: str = "",
        instance: str | None = None,
    ) -> None:
        self._config = reading.configuration(connection, prefix + group, instance)
        self._names = {prefix + topic: topic for topic in topics}
        self._bounds = bounds
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kafka-consumer")
        self._client: Consumer | None = None
        self._stopping = False
        self._lost: set[tuple[str, int]] = set()
        self._starts: dict[tuple[str, int], int] = {}
        self._ahead: list[Message] = []
        self._read_at = 0.0

    async def batches(self) -> AsyncIterator[Sequence[Item]]:
        """See domain.ports.BatchSource. Raises Conflict when another process has the same instance name."""
        keeper = asyncio.create_task(self._keep_alive())
        try:
            while not self._stopping:
                batch = await self._call(self._collect)
                if batch:
                    yield batch
                del batch  # or it stays in memory while the next one is read
        finally:
            keeper.cancel()

    async def commit(self, batch: Sequence[Item]) -> None:
        """See domain.ports.BatchSource. Raises Unavailable when the broker does not answer."""
        await self._call(self._commit, batch)

    def stop(self) -> None:
        """See domain.ports.BatchSource; takes effect within 0.25 s."""
        self._stopping = True

    async def close(self) -> None:
        """Leave. A static member's partitions stay reserved for its return until the session times out (10 s)."""
        self.stop()
        if self._client is not None:
            await self._call(self._client.close)
            self._client = None
        self._thread.shutdown(wait=False)

    async def lag(self) -> dict[tuple[str, int], int]:
        """Records behind the end, by (topic, partition) that this member reads. Empty before the first assignment."""
        return await self._call(self._lag)

    async def _call(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    async def _keep_alive(self) -> None:
        # a sink that waits for its destination must still answer rebalances and stay in its group
        while True:
            await asyncio.sleep(_KEEP_ALIVE_S)
            if time.monotonic() - self._read_at >= _KEEP_ALIVE_S:
                with suppress(Conflict):  # the next read raises it where somebody listens
                    await self._call(self._poll_paused)

    # --- on the consumer's thread ---

    def _open(self) -> Consumer:
        if self._client is None:
            self._client = Consumer(self._config, logger=log)
            self._client.subscribe(
                list(self._names), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
        return self._client

    def _on_assign(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        for partition in partitions:
            self._starts.pop((partition.topic, partition.partition), None)

    def _on_revoke(self, _: Consumer, partitions: Sequence[TopicPartition]) -> None:
        self._lost.update((p.topic, p.partition) for p in partitions)

    def _poll_paused(self) -> None:
        if self._client is None or self._stopping:
            return
        try:
            paused = self._client.assignment()
            self._client.pause(paused)
            self._ahead += self._client.consume(1, 0)
            still = {(p.topic, p.partition) for p in self._client.assignment()}
            self._client.resume([p for p in paused if (p.topic, p.partition) in still])
        except KafkaException as error:
            reading.tell(error.args[0])

    def _collect(self) -> list[Item]:
        """Blocks until a batch is full or due, or for one slice while there is nothing."""
        client, bounds = self._open(), self._bounds
        read, self._ahead = self._ahead, []
        messages = self._still_ours(read)
        self._lost.clear()
        size, due = reading.size(messages), time.monotonic() + bounds.seconds
        while len(messages) < bounds.rows and size < bounds.size and not self._stopping:
            wait = min(_SLICE_S, due - time.monotonic())
            if wait <= 0:
                break
            more = reading.consume(client, min(_CHUNK, bounds.rows - len(messages)), wait)
            if self._lost:
                messages = self._still_ours(messages)
                self._lost.clear()
            if not messages:
                due = time.monotonic() + bounds.seconds
                if not more:
                    break
            messages += more
            size += reading.size(more)
        self._read_at = time.monotonic()
        return [reading.item(message, self._names) for message in messages if message.value() is not None]

    def _still_ours(self, messages: list[Message]) -> list[Message]:
        return [m for m in messages if (m.topic(), m.partition()) not in self._lost]

    def _commit(self, batch: Sequence[Item]) -> None:
        prefixed = {name: topic for topic, name in self._names.items()}
        ends: dict[tuple[str, int], int] = {}
        for item in batch:
            place = prefixed[item.topic], item.partition
            ends[place] = max(ends.get(place, 0), item.offset + 1)
        offsets = [TopicPartition(*place, end) for place, end in ends.items() if place not in self._lost]
        if not offsets:
            return
        try:
            done = self._open().commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            reading.judge(error.args[0])
        else:
            for partition in done or ():
                if partition.error is not None:
                    reading.judge(partition.error)

    def _lag(self) -> dict[tuple[str, int], int]:
        if self._client is None:
            return {}
        lag = {}
        for here in self._client.position(self._client.assignment()):
            low, high = self._client.get_watermark_offsets(here, cached=True)
            if high >= 0:
                position = here.offset if here.offset >= 0 else self._start(here, low)
                lag[self._names[here.topic], here.partition] = max(0, high - position)
        return lag

    def _start(self, partition: TopicPartition, low: int) -> int:
        """Where reading began in a partition that has delivered nothing yet."""
        place = partition.topic, partition.partition
        if place not in self._starts and self._client is not None:
            try:
                committed = self._client.committed([TopicPartition(*place)], timeout=5)[0].offset
            except KafkaException as error:
                raise translate(error.args[0], "read committed offsets") from error
            self._starts[place] = max(committed, low, 0)
        return self._starts[place]
