"""Sources that operators made over HTTP, in PostgreSQL."""

from collections.abc import Sequence

import orjson

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.sources.stored import Stored

_SQL = statements("sources")


class PostgresSources:
    """Implements domain.ports.SourceStore."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def all(self) -> Sequence[Stored]:
        rows = await self._pool.fetch(_SQL["all"])
        return [
            Stored(row["name"], orjson.loads(row["fields"]), bytes(row["sealed"]), row["changed_at"]) for row in rows
        ]

    async def put(self, source: Stored) -> bool:
        fields = orjson.dumps(source.fields).decode()
        row = await self._pool.row(_SQL["put"], source.name, fields, source.sealed, source.changed_at)
        return row is not None and bool(row["is_new"])

    async def delete(self, name: str) -> bool:
        return bool(await self._pool.fetch(_SQL["delete"], name))
