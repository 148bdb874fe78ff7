"""Ends a process that no longer turns (rule S6). A known wait or a dead dependency is not being stuck.

A thread of its own looks at a pulse of the event loop and at the stage's oldest delivery; when either is too old the
process exits non-zero and whoever started it starts a new one. What it held is taken over by lease and redelivery.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable

import structlog

log = structlog.get_logger("watchdog")

STUCK_AFTER = 30.0
EXIT_CODE = 70


def leave(reason: str) -> None:
    """Exit at once: the loop that an orderly end would need does not turn."""
    log.critical("stuck", reason=reason)
    os._exit(EXIT_CODE)


class Watchdog:
    """`oldest` gives seconds that the oldest piece of work is past its own deadline, negative while it is not."""

    def __init__(
        self,
        oldest: Callable[[], float],
        stuck_after: float = STUCK_AFTER,
        leave: Callable[[str], None] = leave,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._oldest = oldest
        self._stuck_after = stuck_after
        self._leave = leave
        self._clock = clock
        self._pulse_at = clock()
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the pulse in the running loop, and the thread that watches it."""
        self._task = asyncio.ensure_future(self._beat())
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        if self._task is not None:
            self._task.cancel()

    @property
    def trouble(self) -> str | None:
        """What is stuck, for health; None while nothing is."""
        silent = self._clock() - self._pulse_at
        if silent > self._stuck_after:
            return f"the event loop has not turned for {silent:.0f} s"
        late = self._oldest()
        if late > self._stuck_after:
            return f"no progress for {late:.0f} s: a delivery past its deadline, or a consumer that fetches nothing"
        return None

    async def _beat(self) -> None:
        while True:
            self._pulse_at = self._clock()
            await asyncio.sleep(1.0)

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            reason = self.trouble
            if reason is not None:
                self._leave(reason)
