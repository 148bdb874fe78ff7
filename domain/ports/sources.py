"""Sources that operators made over HTTP, and those of their file."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from domain.sources.model import Source
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


class SourceFile(Protocol):
    """The file of sources, as it was when it was last right."""

    @property
    def sources(self) -> Mapping[str, Source]:
        """By name; another mapping after a change."""
        ...

    @property
    def wrong(self) -> str | None:
        """Everything that is wrong with the file as it stands, None where nothing is."""
        ...

    def is_of_start(self, name: str) -> bool:
        """Whether it is as it was when the process started."""
        ...

    def look(self) -> None:
        """See whether it was changed. What changed holds from the second look on that finds it the same; what is wrong
        changes nothing but `wrong`."""
        ...
