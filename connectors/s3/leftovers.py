"""Objects of the S3 sink that no manifest names, though all their rows lie in objects that one does.

A crash in the middle of a write leaves such objects where a replay was ordered in the same moment (decision 0030).
Readers of manifests do not see them, readers of whole folders see their rows twice. What is being written now is not
among them: its rows are in no manifest yet.
"""

from collections import defaultdict
from collections.abc import AsyncIterator

from connectors.s3.client import PAGE, S3
from domain.sinks import objects
from domain.sinks.columns import TABLES
from domain.sinks.model import Place
from domain.sinks.objects import Range

Begun = dict[Place, set[Range]]


class Leftovers:
    """In one bucket, under the sink's prefix. Memory grows with the ranges, not with the objects."""

    def __init__(self, store: S3, prefix: str = "") -> None:
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    async def find(self) -> list[str]:
        """Their keys. Raises Unavailable."""
        begun: Begun = defaultdict(set)
        async for _, place, span in self._objects():
            begun[place].add(span)
        over = {place: await self._over(place, spans) for place, spans in begun.items()}
        if not any(over.values()):
            return []
        return [key async for key, place, span in self._objects() if span in over.get(place, ())]

    async def remove(self, keys: list[str]) -> None:
        """Raises Unavailable; what was removed until then stays removed."""
        for key in keys:
            await self._store.clear(key)

    async def _objects(self) -> AsyncIterator[tuple[str, Place, Range]]:
        for table in TABLES.values():
            async for key in self._keys(f"{self._prefix}{table}/", ""):
                told = objects.told_by(key)
                if told is not None:
                    yield key, *told

    async def _over(self, place: Place, begun: set[Range]) -> set[Range]:
        """Of the ranges of objects those without a manifest whose offsets are all in others."""
        async for key in self._keys(objects.manifests_of(self._prefix, place), ""):
            begun.difference_update(objects.spans([key]))
        return {span for span in begun if objects.covered(span, await self._around(place, span))}

    async def _around(self, place: Place, span: Range) -> list[Range]:
        found: list[Range] = []
        after = objects.before(self._prefix, place, span.first)
        async for key in self._keys(objects.manifests_of(self._prefix, place), after):
            found += objects.spans([key])
            if found and found[-1].last >= span.last:
                break
        return found

    async def _keys(self, prefix: str, after: str) -> AsyncIterator[str]:
        while True:
            page = await self._store.keys(prefix, after)
            for key in page:
                yield key
            if len(page) < PAGE:
                return
            after = page[-1]
