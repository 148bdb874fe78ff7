"""Faust with what it costs most taken away, and acknowledgements in the order of a partition."""

import asyncio
import logging
import tempfile
import types
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any

import faust
from faust.transport.consumer import Consumer

_wait_first = Consumer.wait_first


@types.coroutine
def _continued(coro: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """The rest of a coroutine that was started by hand."""
    while True:
        try:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                waits_for = coro.throw(error)
            else:
                waits_for = coro.send(value)
        except StopIteration as stop:
            return stop.value


async def _awaited(coro: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    return await _continued(coro, waits_for)


async def _fast_drain(self: Any, *coros: Any, timeout: Any = None) -> Any:
    """Hand a record on without the four tasks Faust makes of it: most can be handed on at once."""
    flows = not (self.suspend_flow.is_set() or self._stopped.is_set() or self._crashed.is_set())
    if len(coros) != 2 or timeout is not None or not flows or not asyncio.iscoroutine(coros[0]):
        return await _wait_first(self, *coros, timeout=timeout)
    handing_on, suspended = coros
    try:
        waits_for = handing_on.send(None)
    except StopIteration:
        suspended.close()
        return None
    return await _wait_first(self, _awaited(handing_on, waits_for), suspended)


class Line:
    """A stream's events, at most `slots` unfinished at once, acknowledged in the order of their partition."""

    def __init__(self, stream: Any, slots: int) -> None:
        self._stream = stream
        self._slots = asyncio.Semaphore(slots)
        self._queues: dict[Any, deque[Any]] = defaultdict(deque)
        self._finished: set[tuple[Any, int]] = set()

    async def events(self) -> AsyncIterator[Any]:
        incoming = self._stream.noack().events().__aiter__()
        while True:
            await self._slots.acquire()
            try:
                event = await incoming.__anext__()
            except StopAsyncIteration:
                return
            self._queues[event.message.tp].append(event)
            yield event

    async def finish(self, event: Any) -> None:
        self._slots.release()
        tp = event.message.tp
        self._finished.add((tp, event.message.offset))
        queue = self._queues[tp]
        while queue and (key := (tp, queue[0].message.offset)) in self._finished:
            self._finished.discard(key)
            await self._stream.ack(queue.popleft())

    def forget(self, partitions: Any) -> None:
        for tp in partitions:
            self._queues.pop(tp, None)


class _Worker(faust.Worker):
    def _setup_logging(self) -> None:
        logging.basicConfig(level=logging.ERROR)


def serve(stage: str, kafka: str, topic: str, body: Callable[[Line], Awaitable[None]], slots: int) -> None:
    """Serve until a signal; leaves by SystemExit."""
    Consumer.wait_first = _fast_drain  # type: ignore[method-assign]
    app = faust.App(
        f"prototype.{stage}",
        broker="kafka://" + kafka,
        store="memory://",
        datadir=tempfile.mkdtemp(prefix="prototype-"),
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
        stream_buffer_maxsize=65_536,
        stream_wait_empty=False,
        broker_commit_interval=1.0,
        broker_session_timeout=10.0,
        broker_heartbeat_interval=2.0,
    )

    @app.agent(app.topic(topic, key_serializer="raw", value_serializer="raw"))
    async def read(stream: Any) -> None:
        line = Line(stream, slots)

        @app.on_partitions_revoked.connect(weak=False)
        async def revoked(_app: Any, revoked: Any, **_: Any) -> None:
            line.forget(revoked)

        await body(line)

    # the loop that is set up here is the one Faust takes
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    _Worker(app, loglevel="INFO", quiet=True, redirect_stdouts=False, loop=loop).execute_from_commandline()
