"""Answers that are known."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol


class Cache(Protocol):
    """Exact answers by key."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]: ...

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None: ...
