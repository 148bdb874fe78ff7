"""Marks rows as emitted, a few times a second (rule L15).

Nobody waits for a mark: one that is lost costs one more production of the same bytes, ten seconds later. So they are
collected over a moment, and many rows share a statement.
"""

import asyncio
from itertools import islice

import structlog

from domain.errors import Unavailable
from domain.ports import Ledger

log = structlog.get_logger("marks")

Key = tuple[str, str, int]
EVERY = 0.25
AT_ONCE = 1_000


class Marks:
    """Collects (tenant, id, run) whose result is durable on its topic, and tells the ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[Key, None] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, key: Key) -> None:
        self._waiting[key] = None
        if self._task is None:
            self._task = asyncio.ensure_future(self._later())

    def __contains__(self, key: Key) -> bool:
        """Whether it is durable on its topic and only not marked yet."""
        return key in self._waiting

    async def flush(self) -> None:
        """Tell the ledger of all that wait. What it does not take now waits on."""
        while self._waiting:
            batch = list(islice(self._waiting, AT_ONCE))
            try:
                await self._ledger.emitted(batch)
            except Unavailable as error:
                log.warning("emitted_not_marked", count=len(self._waiting), reason=str(error))
                return
            for key in batch:
                self._waiting.pop(key, None)

    async def _later(self) -> None:
        try:
            while self._waiting:
                await asyncio.sleep(EVERY)
                await self.flush()
        finally:
            self._task = None
