"""What the analyst knows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from domain.caching.use import CacheUse


class UsageReader(Protocol):
    """Reads the analytics of one tenant."""

    async def usage(self, tenant: str | None, by: Sequence[str], since: datetime) -> list[dict[str, Any]]:
        """Rows of usage_hourly grouped by `by`; tenant None is the operator's view over all tenants."""
        ...

    async def cache(self, tenant: str, since: datetime) -> list[CacheUse]:
        """By template, the most used first."""
        ...
