"""A batch consumer whose batches are the same after a crash: for destinations that know a batch by its offsets."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka import reading
from connectors.kafka.consumer import BatchConsumer
from connectors.kafka.promised import Promised
from domain.errors import Unavailable
from domain.ports import Item
from domain.sinks.model import Place

log = logging.getLogger(__name__)
PAUSE_S = 0.5


class ExactConsumer(BatchConsumer):
    """Implements domain.ports.BatchSource as BatchConsumer does, and more.

    A batch that was handed out and not committed comes again with the same first and last record of each partition,
    here or to another member (docs/decisions/0030).

    Costs one more commit a batch.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._promised = Promised()

    async def _next(self) -> list[Item]:
        batch = await self._call(self._take)
        while batch:
            try:
                promised = await self._call(self._promise, batch)
            except Unavailable as error:
                log.warning("the batch waits for its promise: %s", error)
                await asyncio.sleep(PAUSE_S)
            else:
                if promised:
                    return batch
            if self._stopping:
                return []
            await self._call(self._poll_paused)
        return batch

    # --- on the consumer's thread ---

    def _take(self) -> list[Item]:
        taken = self._ahead.take()
        self._ahead.add(self._promised.taken(), time.monotonic())
        return taken

    def _promise(self, batch: list[Item]) -> bool:
        """Leaves in the batch what is still this member's. False while a rebalance has to end first."""
        ends = self._ahead.ends(batch)
        batch[:] = [item for item in batch if (item.topic, item.partition) in ends]
        starts = {(item.topic, item.partition): item.offset for item in reversed(batch)}
        offsets = [
            TopicPartition(self._prefixed[topic], partition, start, metadata=str(ends[topic, partition]))
            for (topic, partition), start in starts.items()
        ]
        if not offsets:
            self._ahead.finish(batch)
            return True
        try:
            done = self._open().commit(offsets=offsets, asynchronous=False)
            errors = [here.error for here in done or () if here.error is not None]
        except KafkaException as error:
            errors = [error.args[0]]
        for one in errors:
            reading.judge(one)
        return not errors

    def _consume(self, client: Consumer, rows: int, wait: float) -> None:
        self._learn()
        if not self._promised.unknown:
            super()._consume(client, rows, wait)
            return
        # what is not known to be free is not read, but rebalances are still answered
        paused = client.assignment()
        client.pause(paused)
        try:
            super()._consume(client, 1, wait)
        finally:
            client.resume(paused)

    def _learn(self) -> None:
        unknown = self._promised.unknown
        if not unknown or self._client is None:
            return
        places = {(self._prefixed[topic], partition): (topic, partition) for topic, partition in unknown}
        try:
            committed = self._client.committed([TopicPartition(*here) for here in places], timeout=reading.PATIENCE_S)
        except KafkaException as error:
            reading.tell(error.args[0])
            return
        for one in committed:
            if one.error is None:
                said = one.metadata or ""
                end = int(said) if one.offset >= 0 and said.isdigit() else 0
                super()._add(self._promised.learn(places[one.topic, one.partition], end))

    def _add(self, items: Sequence[Item]) -> None:
        super()._add(self._promised.sift(items))

    def _on_assign(self, client: Consumer, partitions: Sequence[TopicPartition]) -> None:
        super()._on_assign(client, partitions)
        self._promised.expect([self._place(partition) for partition in partitions])

    def _on_revoke(self, client: Consumer, partitions: Sequence[TopicPartition]) -> None:
        super()._on_revoke(client, partitions)
        self._promised.forget([self._place(partition) for partition in partitions])

    def _rewind(self, starts: Mapping[Place, datetime | int]) -> frozenset[Place]:
        done = super()._rewind(starts)
        self._promised.forget(done)
        return done
