"""Sources that operators made over HTTP, in this process: the twin of connectors/postgres/sources.py."""

from collections.abc import Sequence

from domain.sources.stored import Stored


class MemorySources:
    """Implements domain.ports.SourceStore."""

    def __init__(self) -> None:
        self._stored: dict[str, Stored] = {}

    async def all(self) -> Sequence[Stored]:
        return [one for _, one in sorted(self._stored.items())]

    async def put(self, source: Stored) -> bool:
        is_new = source.name not in self._stored
        self._stored[source.name] = source
        return is_new

    async def delete(self, name: str) -> bool:
        return self._stored.pop(name, None) is not None
