"""What the analyst knows."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from domain.caching.use import CacheUse
from domain.exports.model import Export, Step


class UsageReader(Protocol):
    """Reads the analytics of one tenant."""

    async def usage(self, tenant: str | None, by: Sequence[str], since: datetime) -> list[dict[str, Any]]:
        """Rows of usage_hourly grouped by `by`; tenant None is the operator's view over all tenants."""
        ...

    async def cache(self, tenant: str, since: datetime) -> list[CacheUse]:
        """By template, the most used first."""
        ...


class Exporter(Protocol):
    """Gives results out in bulk."""

    def file(self, wanted: Export) -> AsyncIterator[bytes]:
        """The bytes of the whole file as they come; however long it is, few are in memory. Raises Unavailable."""
        ...

    def rows(self, wanted: Export) -> AsyncIterator[bytes]:
        """The same without what the format has before, between and behind them (domain/exports/framing.py)."""
        ...

    async def step(self, wanted: Export, rows: int) -> Step:
        """Where the next so many rows end. Raises Unavailable."""
        ...

    async def count(self, wanted: Export) -> int:
        """How many rows it has. Raises Unavailable."""
        ...
