"""What was read of the objects of sources."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from domain.sources.objects import Found, Progress


class ObjectBook(Protocol):
    """Durable, by source and key. Raises Unavailable."""

    async def hold(self, source: str, member: str, now: datetime, lease: timedelta) -> bool:
        """Whether this member reads the source until then: one does at a time. Again and again by who holds it."""
        ...

    async def known(self, source: str, keys: Sequence[str]) -> Mapping[str, Progress]:
        """Of those that were begun."""
        ...

    async def before_last(self, source: str, count: int) -> str:
        """The key that the last `count` of those that were begun stand behind; empty where there are no more."""
        ...

    async def note(self, source: str, found: Found, rows: int, done: bool) -> None: ...

    async def forget(self, source: str, since: datetime) -> None:
        """Objects that were modified since then are read again."""
        ...

    async def close(self) -> None: ...
