"""The audit log."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from domain.trail.model import Change, Entry, Wanted

Pen = Callable[[Change], Awaitable[None]]
"""Writes a row, by whoever acts (domain.trail.model.acting)."""


class Trail(Protocol):
    """Rows are added, read, and forgotten when they are old; nobody changes one."""

    def together(self, place: str) -> AbstractAsyncContextManager[Pen]:
        """What repositories of the same database do inside takes effect with the rows that are written, or neither.

        Whoever has the same `place` waits, so that what one sees afterwards is what the next one sees before; the empty
        one waits for nobody. Raises Unavailable.
        """
        ...

    async def page(self, wanted: Wanted, limit: int, before: tuple[datetime, str] | None) -> list[Entry]:
        """Newest first; `before` is (at, id) of the last one seen."""
        ...

    async def forget(self, before: datetime) -> int:
        """Remove rows from before; how many. Those of the last SHORTEST_DAYS days stay."""
        ...
