"""How a sink runner is doing, and whether it should go on: shared by the runner, its watcher and its process."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.health import Check, Health
from domain.sinks.model import OPENING

START = "start"


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Tally:
    """Since the start. `in_hand` are the log times of the oldest record of each batch that is not committed."""

    rows: int = 0
    refused: int = 0
    errors: int = 0
    in_hand: deque[datetime] = field(default_factory=deque)

    @property
    def oldest_at(self) -> datetime | None:
        """Of the oldest record in hand."""
        return min(self.in_hand, default=None)


class Condition:
    """Written by the runner, read by /healthz and /readyz, stopped by a signal, held by operators. For one event loop.

    Troubles have names, since several calls may be under way: one that succeeds says nothing about another.
    """

    def __init__(self, name: str, now: Callable[[], datetime] = _utc_now) -> None:
        self.now = now
        self.tally = Tally()
        self._name = name
        self._stopping = asyncio.Event()
        self._on_stop: list[Callable[[], None]] = []
        self._troubles = {START: f"{OPENING}: not connected yet"}
        self._since = now()
        self._go = asyncio.Event()
        self._go.set()
        self._held: str | None = None
        self._held_ready = True

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    @property
    def held(self) -> bool:
        """Whether it was told to carry nothing for now."""
        return self._held is not None

    @property
    def paused(self) -> bool:
        """Whether operators hold it, and not that it does not know yet what they want."""
        return self._held is not None and self._held_ready

    @property
    def waiting_s(self) -> float:
        """Seconds since it began to wait for what it needs; 0 when it does not, or is paused."""
        waits = not self.paused and (self._held is not None or self.trouble is not None)
        return (self.now() - self._since).total_seconds() if waits else 0.0

    def stop(self) -> None:
        """Finish the batch in hand, commit it, and end. May be called more than once."""
        if not self.stopping:
            self._stopping.set()
            for tell in self._on_stop:
                tell()

    def when_stopping(self, tell: Callable[[], None]) -> None:
        """Call `tell` at the stop; at once when that was already."""
        self._on_stop.append(tell)
        if self.stopping:
            tell()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def hold(self, reason: str, *, ready: bool = True) -> None:
        """Carry nothing from the next batch on, until `go_on`."""
        self._held = reason
        self._held_ready = ready
        self._go.clear()

    def go_on(self) -> None:
        self._held = None
        self._go.set()

    async def may_go(self) -> bool:
        """Returns when it is not held: True; at the stop: False."""
        while not self._go.is_set() and not self.stopping:
            waits = [asyncio.ensure_future(self._go.wait()), asyncio.ensure_future(self._stopping.wait())]
            try:
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waits:
                    one.cancel()
        return self._go.is_set()

    def well(self, call: str = START) -> None:
        """A call succeeded."""
        self._troubles.pop(START, None)
        self._troubles.pop(call, None)

    def troubled(self, call: str, reason: str) -> None:
        """A call failed and will be tried again."""
        if not self._troubles:  # what failed before it was ever well has waited since the start
            self._since = self.now()
        self._troubles.pop(START, None)
        self._troubles[call] = reason

    @property
    def opening(self) -> bool:
        """Whether its destination is not open yet, so that it reads nothing."""
        return not self._troubles.keys().isdisjoint((START, OPENING))

    @property
    def trouble(self) -> str | None:
        """The first of what it waits for."""
        return next(iter(self._troubles.values()), None)

    def health(self) -> Health:
        """Never unhealthy for a destination that is away: a restart would not help (rule S6).

        One that operators keep paused is ready: it does what it should.
        """
        if self._held is not None:
            ready = self._held_ready
            return Health(ready=ready, checks={self._name: Check(ok=ready, detail=self._held)})
        if self.trouble is None:
            return Health(checks={self._name: Check(ok=True)})
        detail = f"waiting since {self._since:%Y-%m-%d %H:%M:%S} UTC, nothing is lost: {self.trouble}"
        return Health(ready=False, checks={self._name: Check(ok=False, detail=detail)})
