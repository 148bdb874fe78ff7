"""The streams of partitions in this process: the twin of connectors/postgres/stream_book.py."""

from collections.abc import Iterable, Mapping

from domain.sinks.model import Place
from domain.sinks.streams import Entry, Mark


class MemoryStreamBook:
    """Implements domain.ports.StreamBook."""

    def __init__(self) -> None:
        self._marks: dict[tuple[str, Place], Mark] = {}

    async def read(self, target: str, places: Iterable[Place]) -> dict[Place, Mark]:
        return {place: self._marks[target, place] for place in places if (target, place) in self._marks}

    async def keep(self, target: str, entries: Mapping[Place, Entry]) -> frozenset[Place]:
        kept = set()
        for place, entry in entries.items():
            known = self._marks.get((target, place))
            if known is None or known.stream == entry.before:
                self._marks[target, place] = entry.mark
                kept.add(place)
        return frozenset(kept)

    async def close(self) -> None:
        return
