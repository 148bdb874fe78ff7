"""Sources in this process: the twins of connectors/postgres/sources.py and connectors/source_file.py."""

from collections.abc import Mapping, Sequence

from domain.sources.model import Source
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


class MemorySourceFile:
    """Implements domain.ports.SourceFile. `write` is what somebody does to it: what it says, or why it is wrong."""

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        self.sources: Mapping[str, Source] = sources or {}
        self.wrong: str | None = None
        self._first = dict(self.sources)
        self._written: Mapping[str, Source] | str | None = None
        self._looks = 0

    def write(self, said: Mapping[str, Source] | str) -> None:
        self._written, self._looks = said, 0

    def is_of_start(self, name: str) -> bool:
        return name in self._first and self._first[name] == self.sources.get(name)

    def look(self) -> None:
        self._looks += 1
        if self._written is None or self._looks < 2:
            return
        if isinstance(self._written, str):
            self.wrong = self._written
        else:
            self.sources, self.wrong = self._written, None
        self._written = None
