"""Faust's consumer as the stage needs it: what it fetches, how that is handed on, and what it may commit.

What is replaced, and why (measured in docs/decisions/0002-faust.md):
- Acknowledgements: Faust acknowledges what it skips and commits past gaps. Here only the stage's heads are committed.
- Pausing: a pause in the middle of a fetch drops the rest of that fetch. Here a full partition is merely not fetched.
- Handing on: each record goes through Faust's streams alone, in a turn of the loop and with four tasks. Here what a
  fetch brought of a topic goes through as one.
- Of what was fetched, partition after partition is handed out. Here topic after topic is, in equal parts.
- What was held is waited for by the second, though it may be taken again at once.
- What lies here untaken keeps the others' records at the broker for 0.1 s and longer (agents/fetching.py).
- Isolation is read_uncommitted. Here aborted records of upstream transactions are not seen.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import structlog
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from agents.fetching import ask_soon, by_topic, in_turn
from agents.progress import Standing

log = structlog.get_logger("stage")

WHILE_HELD_S = 0.02
"""How soon a partition that was held is taken from again, while nothing comes of the others."""
FETCH_WAIT_MS = 200
"""For how long the broker keeps a fetch that has nothing to give. Meanwhile what that fetch did not ask for, because
something of it lay here untaken, is not fetched; Faust says 1,500."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads only what was committed upstream, and of each topic in turn."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        # Faust derives the isolation level from this flag and nothing else
        before, self.consumer.in_transaction = self.consumer.in_transaction, True
        try:
            consumer = super()._create_worker_consumer(transport)
            consumer._fetch_max_wait_ms = FETCH_WAIT_MS
            return consumer
        finally:
            self.consumer.in_transaction = before

    async def on_start(self) -> None:
        await super().on_start()
        consumer: Any = self._consumer
        ask_soon(consumer._fetcher)

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,
    ) -> Any:
        """aiokafka gives partition after partition, in the order they came: behind a flood of one topic the others
        would wait for several thousand records of it."""
        fetch: Callable[..., Awaitable[Any]] = super()._fetch_records
        topics = by_topic(consumer._fetcher._records, active_partitions)
        records = await in_turn(partial(fetch, consumer), topics, max_records) if len(topics) > 1 else {}
        return records or await fetch(consumer, active_partitions, timeout, max_records)


class Fetched(ConsumerMessage):
    """What a fetch brought of one topic, in the order of each partition; goes the way of the first one's."""

    __slots__ = ("records",)

    def __init__(self, records: Sequence[Any], generation: int) -> None:
        tp = TP(records[0].topic, records[0].partition)
        super().__init__(*tp, 0, 0.0, 0, None, None, b"", None, tp=tp, generation_id=generation)
        self.records = records


class StageConsumer(driver.Consumer):
    """Commits what the stage says is finished, and nothing else."""

    app: Any

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def ack(self, message: Any) -> bool:
        message.acked = True
        return True

    def hold(self, tp: Any) -> None:
        """Fetch no more of a partition; what was fetched already is still delivered.

        Not Consumer.pause_partitions: that drops what is left of the current fetch, and then commits past it.
        """
        self.on_buffer_full(TP(*tp))

    def resume(self, tp: Any) -> None:
        """Fetch a held partition again."""
        self.on_buffer_drop(TP(*tp))

    def standing(self) -> Standing:
        """What this consumer knows of itself. Read from the side: asking its thread waits for ever when that hangs."""
        consumer = self._thread._consumer
        if consumer is None or consumer._coordinator is None:
            return Standing("", {})
        assignment = getattr(consumer._subscription.subscription, "assignment", None)
        states = {TP(*tp): assignment.state_value(tp) for tp in assignment.tps} if assignment else {}
        positions: dict[tuple[str, int], int | None] = {tp: state._position for tp, state in states.items() if state}
        return Standing(consumer._coordinator.member_id, positions, frozenset(self._buffered_partitions))

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[Any, Fetched]]:  # noqa: ASYNC109 - Faust's signature
        """What a fetch brought of each topic as one message, in the order of the stage's sources.

        Handing on costs Faust 50 us and a turn of the loop, whatever it is that is handed on.
        """
        records, active = await self._next(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self._go_back()
            return
        generation = self.app.consumer_generation_id
        for parts in self._in_order(records, active):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            found = [record for tp in parts for record in self._count(tp, records[tp])]
            if found:
                # under no partition's name: Faust drops what lies before the last place it noted under one, and notes
                # that after it waited, when a seek may have gone back behind it
                yield TP(found[0].topic, -1), Fetched(found, generation)

    async def _next(self, seconds: float) -> Any:
        """As Faust's, which would go on for a second without those that were held when it began to wait."""
        if not self._buffered_partitions:
            return await self._wait_next_records(seconds)
        if self._get_active_partitions():
            return await self._wait_next_records(WHILE_HELD_S)
        await self.sleep(WHILE_HELD_S)
        self._is_there()
        return None, None

    def _is_there(self) -> None:
        """aiokafka leaves the group when nothing was asked of it for `broker_max_poll_interval`. A worker that is full,
        while PostgreSQL or a provider lets it wait, is there all the same: whether it hangs, the watchdog sees."""
        if (consumer := self._thread._consumer) is not None:
            with consumer._subscription.fetch_context():
                pass

    def _in_order(self, records: Mapping[Any, Any], active: Any) -> list[list[Any]]:
        """The partitions to hand on, topic by topic."""
        topics: dict[str, list[Any]] = {source.topic: [] for source in self.app.stage.sources}
        for tp in records:
            if active is None or tp in active or tp in self._buffered_partitions:
                topics[tp.topic].append(tp)
        return list(topics.values())

    def _count(self, tp: Any, records: Sequence[Any]) -> Sequence[Any]:
        """Before Faust's own buffer: what it holds is run-ahead as well (rule S3)."""
        self.app.monitor.track_tp_end_offset(tp, self.highwater(tp))
        fetched = self.app.stage.fetched
        for record in records:
            fetched(tp, len(record.value or b"") + len(record.key or b""))
        return records

    async def _go_back(self) -> None:
        """The flow was suspended while it was fetched: read it again once it goes on."""
        try:
            await self.perform_seek()
        except Exception as error:  # noqa: BLE001 - as Faust does: the next assignment seeks anew
            log.warning("seek_failed", error=repr(error))

    def track_message(self, message: Any) -> None:
        """Faust's list of unacknowledged messages is not used."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[Any]:
        assigned = (TP(*tp) for tp in self.app.stage.assigned())
        return (tp for tp in assigned if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: Any) -> int | None:
        head: int | None = self.app.stage.head(tp)
        return head

    async def on_partitions_revoked(self, revoked: Any) -> None:
        self.app.stage.revoked(revoked)
        self._buffered_partitions.difference_update(revoked)
        await super().on_partitions_revoked(revoked)


class Transport(driver.Transport):
    Consumer = StageConsumer
