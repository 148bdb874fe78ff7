"""Sources that operators made over HTTP."""

from collections.abc import Sequence
from typing import Protocol

from domain.sources.stored import Stored


class SourceStore(Protocol):
    """Durable, by name. What was put is seen by the next look of every process. Raises Unavailable."""

    async def all(self) -> Sequence[Stored]:
        """By name."""
        ...

    async def put(self, source: Stored) -> bool:
        """In the place of what has its name; True where nothing had."""
        ...

    async def delete(self, name: str) -> bool:
        """False where there was none."""
        ...
