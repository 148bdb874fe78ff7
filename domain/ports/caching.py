"""Answers that are known."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Protocol

from domain.caching.asked import Asked


class Cache(Protocol):
    """Exact answers by key."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None: ...


class Questions(Protocol):
    """What tenants ask."""

    async def most_asked(self, tenant: str, since: date, template: str | None, limit: int) -> list[Asked]:
        """Of the requests claimed since that day (UTC) whose answers may be kept, of a template if one is named."""
        ...
