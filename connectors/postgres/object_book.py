"""What was read of the objects of sources, in PostgreSQL."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from connectors.postgres.pool import Pool, connect
from connectors.postgres.queries import statements
from domain.sources.objects import Found, Progress

_SQL = statements("objects")


class PostgresObjectBook:
    """Implements domain.ports.ObjectBook, over one connection that is opened when it is first needed."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool: Pool | None = None

    async def hold(self, source: str, member: str, now: datetime, lease: timedelta) -> bool:
        pool = await self._live()
        return bool(await pool.fetch(_SQL["hold"], source, member, now, now + lease))

    async def known(self, source: str, keys: Sequence[str]) -> Mapping[str, Progress]:
        pool = await self._live()
        rows = await pool.fetch(_SQL["known"], source, list(keys))
        return {row["key"]: Progress(row["version"], row["rows"], row["done"]) for row in rows}

    async def before_last(self, source: str, count: int) -> str:
        pool = await self._live()
        rows = await pool.fetch(_SQL["before_last"], source, count)
        return str(rows[0]["key"]) if rows else ""

    async def note(self, source: str, found: Found, rows: int, done: bool) -> None:
        pool = await self._live()
        await pool.fetch(_SQL["note"], source, found.key, found.version, rows, done, found.modified_at)

    async def forget(self, source: str, since: datetime) -> None:
        pool = await self._live()
        await pool.fetch(_SQL["forget"], source, since)

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def _live(self) -> Pool:
        if self._pool is None:
            self._pool = await connect(self._url, 1)
        return self._pool
