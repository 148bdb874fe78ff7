"""An event loop on which hours pass at once: a wait turns the clock instead of sleeping."""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class _Turning(selectors.SelectSelector):
    """What would be waited for is added to `seconds`."""

    seconds = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen")
        self.seconds += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._turning = _Turning()
        super().__init__(self._turning)

    def time(self) -> float:
        return self._turning.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.time())


def run(main: Any) -> None:
    """Run `main(loop)` to its end."""
    loop = VirtualLoop()
    try:
        work: Coroutine[Any, Any, None] = main(loop)
        loop.run_until_complete(work)
    finally:
        loop.close()
