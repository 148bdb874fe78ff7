"""Which stream of a destination each partition goes to, in PostgreSQL."""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from connectors.postgres.pool import Pool, connect
from connectors.postgres.queries import statements
from domain.sinks.model import Place
from domain.sinks.streams import Entry, Mark

_SQL = statements("streams")


class PostgresStreamBook:
    """Implements domain.ports.StreamBook, over one connection that is opened when it is first needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Pool | None = None

    async def read(self, target: str, places: Iterable[Place]) -> dict[Place, Mark]:
        asked = list(places)
        pool = await self._live()
        rows = await pool.fetch(_SQL["read"], target, [topic for topic, _ in asked], [number for _, number in asked])
        return {(row["topic"], row["partition"]): _mark(row) for row in rows}

    async def keep(self, target: str, entries: Mapping[Place, Entry]) -> frozenset[Place]:
        marks = [entry.mark for entry in entries.values()]
        pool = await self._live()
        rows = await pool.fetch(
            _SQL["keep"],
            target,
            [topic for topic, _ in entries],
            [number for _, number in entries],
            [mark.stream for mark in marks],
            [mark.born for mark in marks],
            [mark.offset for mark in marks],
            [mark.rows for mark in marks],
            [orjson.dumps({str(offset): text for offset, text in mark.refused.items()}).decode() for mark in marks],
            [entry.before for entry in entries.values()],
        )
        return frozenset((row["topic"], row["partition"]) for row in rows)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _live(self) -> Pool:
        if self._pool is None:
            self._pool = await connect(self._url, 1)
        return self._pool


def _mark(row: Any) -> Mark:
    refused = {int(offset): text for offset, text in orjson.loads(row["refused"]).items()}
    return Mark(row["stream"], row["born"], row["next_offset"], row["rows"], refused)
