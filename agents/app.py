"""Faust, set up for the stage: its consumer, its settings, its worker. Every default that loses events is set here.

What is replaced, and why (measured in docs/decisions/0002-faust.md):
- Acknowledgements: Faust acknowledges what it skips and commits past gaps. Here only the stage's heads are committed.
- Pausing: a pause in the middle of a fetch drops the rest of that fetch. Here a full partition is merely not fetched.
- A record goes through Faust's streams by itself, a turn of the loop each. Here what a fetch brought goes through as one.
- The drain loop makes four asyncio tasks for what it hands on. Here what is taken at once makes none.
- Of what was fetched, partition after partition is handed out. Here topic after topic is, in equal parts.
- Isolation is read_uncommitted. Here aborted records of upstream transactions are not seen.
"""

import asyncio
import ssl
import tempfile
import types
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import faust
import structlog
from faust.auth import OAuthCredentials
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from agents.fetching import by_topic, in_turn
from agents.progress import Progress, Standing

log = structlog.get_logger("stage")


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is and how to speak to it. `member` is the static name of this worker in its group.

    tokens: aiokafka's token provider, with OAUTHBEARER.
    """

    url: str
    member: str | None = None
    protocol: str = "PLAINTEXT"
    tls: ssl.SSLContext | None = None
    mechanism: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tokens: Any = field(default=None, repr=False)

    @property
    def credentials(self) -> Any:
        """Faust's form of them."""
        if self.tokens is not None:
            return OAuthCredentials(oauth_cb=self.tokens, ssl_context=self.tls)
        if self.protocol.startswith("SASL"):
            return faust.SASLCredentials(
                username=self.username, password=self.password, mechanism=self.mechanism, ssl_context=self.tls
            )
        return faust.SSLCredentials(self.tls) if self.tls else None


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Reads only what was committed upstream, and of each topic in turn."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        # Faust derives the isolation level from this flag and nothing else
        before, self.consumer.in_transaction = self.consumer.in_transaction, True
        try:
            return super()._create_worker_consumer(transport)
        finally:
            self.consumer.in_transaction = before

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


class Fetched(ConsumerMessage):  # type: ignore[misc]
    """What a fetch brought of one topic, in the order of each partition. Its own place is that of the last record."""

    __slots__ = ("records",)

    def __init__(self, records: Sequence[Any], generation: int) -> None:
        last = records[-1]
        tp = TP(last.topic, last.partition)
        super().__init__(*tp, last.offset, 0.0, 0, None, None, b"", None, tp=tp, generation_id=generation)
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
        records, active = await self._wait_next_records(timeout)
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self._go_back()
            return
        generation = self.app.consumer_generation_id
        for parts in self._in_order(records, active):
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            found = [record for tp in parts for record in self._new(tp, records[tp])]
            if found:
                message = Fetched(found, generation)
                yield message.tp, message

    def _in_order(self, records: Mapping[Any, Any], active: Any) -> list[list[Any]]:
        """The partitions to hand on, topic by topic."""
        topics: dict[str, list[Any]] = {source.topic: [] for source in self.app.stage.sources}
        for tp in records:
            if active is None or tp in active or tp in self._buffered_partitions:
                topics[tp.topic].append(tp)
        return list(topics.values())

    def _new(self, tp: Any, records: Sequence[Any]) -> Sequence[Any]:
        """Those that were not read before a seek; counted here, so that what Faust holds is run-ahead as well (S3)."""
        read = self._read_offset[tp]
        if read is not None and records[0].offset < read:
            records = [record for record in records if record.offset >= read]
        if not records:
            return records
        self._read_offset[tp] = records[-1].offset
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

    async def wait_first(self, *coros: Any, timeout: Any = None) -> Any:  # noqa: ASYNC109 - Faust's signature
        busy = self.suspend_flow.is_set() or self._stopped.is_set() or self._crashed.is_set()
        if busy or timeout is not None or len(coros) != 2:
            return await super().wait_first(*coros, timeout=timeout)
        callback, suspended = coros
        try:
            pending = callback.send(None)
        except StopIteration:
            suspended.close()
            return None
        return await super().wait_first(_started(callback, pending), suspended)


@types.coroutine
def _resume(coro: Coroutine[Any, Any, Any], pending: Any) -> Generator[Any, Any, Any]:
    while True:
        try:
            try:
                value = yield pending
            except BaseException as error:  # noqa: BLE001 - handed on to the coroutine it is for
                pending = coro.throw(error)
            else:
                pending = coro.send(value)
        except StopIteration as stop:
            return stop.value


async def _started(coro: Coroutine[Any, Any, Any], pending: Any) -> Any:
    return await _resume(coro, pending)


class QuietMonitor(faust.Monitor):
    """Keeps only what Faust's own watch over its streams reads: our metrics count the rest (4 us an event less)."""

    def on_message_in(self, tp: Any, offset: int, message: Any) -> None:
        """Not counted."""

    def on_stream_event_in(self, tp: Any, *_: Any) -> None:
        self.stream_inbound_time[tp] = monotonic()

    def on_stream_event_out(self, tp: Any, offset: int, stream: Any, event: Any, state: Any = None) -> None:
        """Not counted."""

    def on_message_out(self, tp: Any, offset: int, message: Any) -> None:
        """Not counted."""


class Transport(driver.Transport):
    Consumer = StageConsumer


class StageApp(faust.App):
    """A Faust app that serves one stage; `boot` and `shutdown` run inside its loop."""

    stage: Any
    progress: Progress
    boot: Callable[[], Awaitable[None]]
    shutdown: Callable[[], Awaitable[None]]

    def _new_transport(self) -> Transport:
        return Transport(self.conf.broker_consumer, self)

    async def on_start(self) -> None:
        await self.boot()
        await super().on_start()

    async def on_stop(self) -> None:
        await super().on_stop()
        await self.shutdown()


class DrainingWorker(faust.Worker):
    """On SIGTERM the stage drains before Faust may stop, for Faust cancels what is in flight (rule S4)."""

    def __init__(self, *apps: StageApp, **options: Any) -> None:
        super().__init__(*apps, **options)
        self._apps = apps
        self.spinner = None  # it writes a terminal's escape sequences also where there is none

    async def _stop_on_signal(self, signal: Any) -> None:
        await asyncio.gather(*(app.stage.drain() for app in self._apps))
        for app in self._apps:
            await app.consumer.commit()
        await super()._stop_on_signal(signal)

    def _setup_logging(self) -> None:
        """Logging is set up by main; Faust's own set-up replaces it and may put the root logger at DEBUG."""


def build(group: str, broker: Broker, stage: Any, boot: Any, shutdown: Any) -> StageApp:
    """A Faust app for one stage and its consumer group, with an agent for each of the stage's sources."""
    app = StageApp(group, **_settings(broker))
    app.stage, app.boot, app.shutdown = stage, boot, shutdown
    app.progress = Progress()
    stage.bind(app)
    for source in stage.sources:
        topic = app.topic(source.topic, key_serializer="raw", value_serializer="raw")
        app.agent(topic, name=f"{group}.{source.topic}")(source.consume)
    return app


def _settings(broker: Broker) -> Mapping[str, Any]:
    return {
        "broker": "kafka://" + broker.url,
        "broker_credentials": broker.credentials,
        "store": "memory://",
        "Monitor": QuietMonitor,
        "datadir": Path(tempfile.mkdtemp(prefix="structured-prompt-")),
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "web_enabled": False,
        "consumer_auto_offset_reset": "earliest",
        "consumer_group_instance_id": broker.member,
        "stream_wait_empty": False,
        "stream_buffer_maxsize": 65_536,
        "broker_commit_interval": 1.0,
        "broker_session_timeout": 10.0,
        "broker_heartbeat_interval": 2.0,
        "broker_request_timeout": 30.0,
        "broker_max_poll_interval": 300.0,
        "broker_max_poll_records": 500,
        "producer_request_timeout": 30.0,
    }


def run(apps: Sequence[StageApp], loop: asyncio.AbstractEventLoop) -> None:
    """Serve until a signal ends it; leaves by SystemExit with Faust's exit code."""
    worker = DrainingWorker(*apps, loglevel="INFO", quiet=True, redirect_stdouts=False, loop=loop)
    worker.execute_from_commandline()
