"""How a sink runner is doing, and whether it should stop: shared by the runner and its process."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime

from domain.health import Check, Health


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Condition:
    """Written by the runner, read by /healthz and /readyz, stopped by a signal. For one event loop."""

    def __init__(self, name: str, now: Callable[[], datetime] = _utc_now) -> None:
        self.now = now
        self._name = name
        self._stopping = asyncio.Event()
        self._on_stop: list[Callable[[], None]] = []
        self._trouble: str | None = "not connected yet"
        self._since = now()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

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

    def well(self) -> None:
        """The last call succeeded."""
        self._trouble = None

    def troubled(self, reason: str) -> None:
        """A call failed and will be tried again."""
        if self._trouble is None:
            self._since = self.now()
        self._trouble = reason

    def health(self) -> Health:
        """Never unhealthy for a destination that is away: a restart would not help (rule S6)."""
        if self._trouble is None:
            return Health(checks={self._name: Check(ok=True)})
        detail = f"waiting since {self._since:%Y-%m-%d %H:%M:%S} UTC, nothing is lost: {self._trouble}"
        return Health(ready=False, checks={self._name: Check(ok=False, detail=detail)})
