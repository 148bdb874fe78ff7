"""Time-outs for all requests in flight: one look every few hundredths of a second, not a timer and a scope for each.

`asyncio.timeout` costs a request some 8 µs each time, mostly in setting up what is never used.
"""

import asyncio
from collections.abc import Awaitable
from typing import Protocol, TypeVar, cast

TICK_S = 0.05
"""What is given up may be so much too late."""
Answer = TypeVar("Answer")


class _Waits(Protocol):
    """Somebody who waits until a moment at most."""

    def give_up(self) -> None: ...


class _ForFuture:
    __slots__ = ("_future",)

    def __init__(self, future: "asyncio.Future[Answer]") -> None:
        self._future: asyncio.Future[Answer] = future

    def give_up(self) -> None:
        if not self._future.done():
            self._future.set_exception(TimeoutError())


class _InTask:
    """Cancels its task, as asyncio.timeout does; `gave_up` tells that from a cancellation by others."""

    __slots__ = ("_before", "_task", "gave_up")

    def __init__(self, task: "asyncio.Task[object]") -> None:
        self._task = task
        self._before = task.cancelling()
        self.gave_up = False

    def give_up(self) -> None:
        if not self.gave_up:
            self.gave_up = True
            self._task.cancel()

    def is_mine(self) -> bool:
        return self.gave_up and self._task.uncancel() <= self._before


class Deadlines:
    """Moments are seconds of the event loop's clock. Use it from one event loop."""

    def __init__(self, tick_s: float = TICK_S) -> None:
        self._tick_s = tick_s
        self._due: dict[_Waits, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def of_future(self, future: "asyncio.Future[Answer]", at: float) -> Answer:
        """Its result. Raises TimeoutError at `at`, which is then the future's own exception."""
        waits = self._enter(_ForFuture(future), at)
        try:
            return await future
        finally:
            del self._due[waits]
            # its exception knows this frame and those above: a circle that would keep what they hold
            del waits, future

    async def of(self, work: Awaitable[Answer], at: float) -> Answer:
        """What any awaitable gives; it is cancelled at `at`. Raises TimeoutError."""
        waits = _InTask(cast("asyncio.Task[object]", asyncio.current_task()))
        self._enter(waits, at)
        try:
            return await work
        except asyncio.CancelledError:
            if waits.is_mine():
                raise TimeoutError from None
            raise
        finally:
            del self._due[waits]

    def _enter(self, waits: _Waits, at: float) -> _Waits:
        self._due[waits] = at
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._tick_s, self._look)
        return waits

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for waits in [waits for waits, at in self._due.items() if at <= now]:
            waits.give_up()
        self._timer = loop.call_later(self._tick_s, self._look) if self._due else None
