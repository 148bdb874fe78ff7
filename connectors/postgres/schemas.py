"""Named output schemas in PostgreSQL."""

from collections.abc import Sequence
from typing import Any

import orjson

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.schemas.model import Compatibility, SchemaName, SchemaRef, SchemaVersion

_SQL = statements("schemas")


class PostgresSchemas:
    """Implements domain.ports.Schemas."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def find(self, wanted: Sequence[SchemaRef]) -> list[SchemaVersion | None]:
        if not wanted:
            return []
        columns = ([ref.tenant for ref in wanted], [ref.name for ref in wanted], [ref.version for ref in wanted])
        rows = await self._pool.fetch(_SQL["find"], *columns)
        found = {row["n"]: _version(row) for row in rows}
        return [found.get(number) for number in range(1, len(wanted) + 1)]

    async def add(self, version: SchemaVersion, compatibility: Compatibility) -> bool:
        facts = (version.tenant, version.name, version.version, orjson.dumps(version.schema), version.digest)
        return bool(await self._pool.fetch(_SQL["add"], *facts, version.created_at, compatibility))

    async def get(self, tenant: str, name: str) -> SchemaName | None:
        row = await self._pool.row(_SQL["get"], tenant, name)
        return None if row is None else SchemaName(**row)

    async def names(self, tenant: str, limit: int, after: str) -> list[SchemaName]:
        return [SchemaName(**row) for row in await self._pool.fetch(_SQL["names"], tenant, limit, after)]

    async def versions(self, tenant: str, name: str) -> list[SchemaVersion]:
        return [_version(row) for row in await self._pool.fetch(_SQL["versions"], tenant, name)]

    async def set_compatibility(self, tenant: str, name: str, compatibility: Compatibility) -> bool:
        return bool(await self._pool.fetch(_SQL["set_compatibility"], tenant, name, compatibility))


def _version(row: Any) -> SchemaVersion:
    schema = orjson.loads(row["body"])
    return SchemaVersion(row["tenant"], row["name"], row["version"], schema, row["digest"], row["created_at"])
