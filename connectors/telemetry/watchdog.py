"""Ends a process that no longer turns (rule S6). A known wait or a dead dependency is not being stuck.

Three watches, each for what the one before cannot see:
- in the event loop, once a second: work past its own deadline, a consumer that stands still;
- a thread: a loop that does not turn;
- a thread of C (faulthandler): a thread of Python that does not get the interpreter either.
Health turns red first, for whoever looks. Then the process exits non-zero and whoever started it starts a new one;
what it held is taken over by lease and redelivery. A process that was frozen for as long ends when it thaws.
"""

import asyncio
import faulthandler
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

log = structlog.get_logger("watchdog")

EXIT_CODE = 70
STANDARD_ERROR = 2


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of no progress after which health is red, the process leaves, and it is ended by force."""

    red: float = 10.0
    leave: float = 30.0
    force: float = 35.0


@dataclass(frozen=True, slots=True)
class Late:
    """By how many seconds the latest piece of work is late, and what it is."""

    seconds: float = 0.0
    what: str = ""


DEFAULT_PATIENCE = Patience()


def leave(reason: str) -> None:
    """Exit at once: the loop that an orderly end would need does not turn.

    What may hold up the loop, a full pipe behind standard error or the lock of the log, must not hold up the end.
    """
    telling = threading.Thread(target=_tell, args=(reason,), daemon=True)
    telling.start()
    telling.join(2.0)
    os._exit(EXIT_CODE)


def _tell(reason: str) -> None:
    log.critical("stuck", reason=reason)
    faulthandler.dump_traceback(STANDARD_ERROR)


def _never() -> Late:
    return Late()


class Watchdog:
    """`late` is asked once a second, in the event loop."""

    def __init__(
        self,
        late: Callable[[], Late] = _never,
        patience: Patience = DEFAULT_PATIENCE,
        leave: Callable[[str], None] = leave,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ask = late
        self._patience = patience
        self._leave = leave
        self._clock = clock
        self._pulse_at = clock()
        self._late = Late()
        self._ended = threading.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the pulse in the running loop, and the threads that watch it."""
        self._pulse()
        self._task = asyncio.ensure_future(self._beat())
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        faulthandler.cancel_dump_traceback_later()
        if self._task is not None:
            self._task.cancel()

    @property
    def trouble(self) -> str | None:
        """What is stuck, for health; None while nothing is."""
        return self._trouble(self._patience.red)

    def _trouble(self, patience: float) -> str | None:
        silent, late = self._clock() - self._pulse_at, self._late
        if silent > patience:
            return f"the event loop has not turned for {silent:.0f} s"
        if late.seconds > patience:
            return f"no progress for {late.seconds:.0f} s: {late.what}"
        return None

    def _pulse(self) -> None:
        self._late = self._ask()
        self._pulse_at = self._clock()
        faulthandler.dump_traceback_later(self._patience.force, exit=True, file=STANDARD_ERROR)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            self._pulse()

    def _watch(self) -> None:
        while not self._ended.wait(1.0):
            reason = self._trouble(self._patience.leave)
            if reason is not None:
                self._leave(reason)
