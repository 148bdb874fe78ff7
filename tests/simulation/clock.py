"""The event loop of one worker process in simulated time, and the clock that all of them share."""

import asyncio
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from typing import Any

START = datetime(2026, 1, 1, 0, 58, tzinfo=UTC)  # a budget that is spent is renewed two minutes later


class Clock:
    """Seconds since START, turned by hand. Stands in for the module `time` where the product reads it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._at: tuple[float, datetime] = (0.0, START)

    def monotonic(self) -> float:
        return self.now

    perf_counter = monotonic

    def utc(self) -> datetime:
        if self._at[0] != self.now:
            self._at = self.now, START + timedelta(seconds=self.now)
        return self._at[1]


class Handle(list[Any]):
    """A callback that is due at some time. Its `loop` is None for what happens outside of every worker.

    A list (callback or None when cancelled, args, context, loop, when) because hundreds are made a schedule.
    """

    __slots__ = ()

    def cancel(self) -> None:
        self[0] = None

    def cancelled(self) -> bool:
        return self[0] is None

    def when(self) -> float:
        when: float = self[4]
        return when


class Timers:
    """What is due later, over all processes; equal times keep the order in which they were set."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Handle]] = []
        self._set = 0

    def add(self, handle: Handle) -> None:
        self._set += 1
        heappush(self._heap, (handle[4], self._set, handle))

    def after(self, seconds: float, callback: Callable[..., Any], *args: Any) -> None:
        """Something that happens to the world, not in a process."""
        self.add(Handle((callback, args, None, None, self._clock.now + seconds)))

    def advance(self) -> bool:
        """Turn the clock to the next moment and make ready what is due; False when nothing ever will be."""
        heap = self._heap
        while heap and _void(heap[0][2]):
            heappop(heap)
        if not heap:
            return False
        self._clock.now = max(self._clock.now, heap[0][0])
        while heap and heap[0][0] <= self._clock.now:
            handle = heappop(heap)[2]
            if _void(handle):
                continue
            callback, args, _, loop, _ = handle
            if loop is None:
                callback(*args)
            else:
                loop.due(handle)
        return True


_RUNNING: "list[ProcessLoop | None]" = [None]
OWN_BOOKKEEPING = sys.version_info < (3, 12)
"""Whether asyncio's bookkeeping of the running loop is replaced: in 3.11 it asks the kernel for the process id at each
turn, and with thousands of turns a second that alone takes a third of the time."""


def _running(*_arguments: Any, **_options: Any) -> "ProcessLoop":
    loop = _RUNNING[0]
    if loop is None:
        raise RuntimeError("no simulated process is running")
    return loop


def _runs(loop: "ProcessLoop | None") -> None:
    if OWN_BOOKKEEPING:
        _RUNNING[0] = loop
    else:
        asyncio._set_running_loop(loop)  # type: ignore[arg-type]


def _places() -> list[tuple[Any, str, Any]]:
    if not OWN_BOOKKEEPING:
        return []
    places = [(asyncio.events, name) for name in ("get_running_loop", "_get_running_loop", "_get_event_loop")]
    return [(place, name, _running) for place, name in (*places, (asyncio, "get_running_loop"))]


@contextmanager
def simulated(clock: Clock, readers: Sequence[Any]) -> Iterator[None]:
    """Inside, asyncio's running loop is the process that runs, and the modules `readers` read `clock` as `time`."""
    places = [*_places(), *[(reader, "time", clock) for reader in readers]]
    own = [(place, name, getattr(place, name)) for place, name, _ in places]
    for place, name, value in places:
        setattr(place, name, value)
    try:
        yield
    finally:
        _runs(None)
        for place, name, value in own:
            setattr(place, name, value)


def _void(handle: Handle) -> bool:
    loop = handle[3]
    return handle[0] is None or (loop is not None and loop.dead)


class ProcessLoop:
    """What asyncio needs of an event loop, for one worker process.

    A frozen process runs nothing; what is answered meanwhile waits in its order, what fell due comes after that. A
    dead one forgets everything, `finally` blocks included, as SIGKILL does.
    """

    def __init__(
        self, clock: Clock, timers: Timers, runnable: "list[ProcessLoop]", complain: Callable[[str], None]
    ) -> None:
        self._clock, self._timers, self._runnable, self._complain = clock, timers, runnable, complain
        self.ready: deque[Handle] = deque()
        self._overdue: list[Handle] = []
        self.dead = False
        self.frozen = False
        self._queued = False  # it is among those that can run, or runs

    def run(self) -> None:
        """Everything that can run, until the process waits."""
        _runs(self)
        ready = self.ready
        while ready and not self.frozen:
            callback, args, context, _, _ = ready.popleft()
            if callback is None:
                continue
            if context is None:
                callback(*args)
            else:
                context.run(callback, *args)
        self._queued = False

    def due(self, handle: Handle) -> None:
        if self.frozen:
            self._overdue.append(handle)
        else:
            self._queue()
            self.ready.append(handle)

    def _queue(self) -> None:
        if not self._queued:
            self._queued = True
            self._runnable.append(self)

    def thaw(self) -> None:
        self.frozen = False
        self._queue()
        self.ready.extend(self._overdue)
        self._overdue.clear()

    def die(self) -> None:
        self.dead = True
        self.ready.clear()
        self._overdue.clear()

    # asyncio's side

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        handle = Handle((callback, args, context, self, 0.0))
        if not self.dead:
            if not self._queued:
                self._queue()
            self.ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Handle:
        return self.call_at(self._clock.now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> Handle:
        handle = Handle((callback, args, context, self, when))
        self._timers.add(handle)
        return handle

    def time(self) -> float:
        return self._clock.now

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def create_task(self, work: Coroutine[Any, Any, Any], **_options: Any) -> "asyncio.Task[Any]":
        return asyncio.Task(work, loop=self)  # type: ignore[arg-type]

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task that ended with an error nobody looked at."""
        if not self.dead:
            self._complain(f"{context.get('message')}: {context.get('exception')!r}")

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task begun from outside of the loop."""
        return copy_context().run(self.create_task, work)
