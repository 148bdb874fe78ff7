"""The ledger's attempts in PostgreSQL, for the audit."""

from datetime import date, datetime

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.auditing.model import Key, Line

_SQL = statements("auditing")


class PostgresBooks:
    """Implements domain.ports.Books."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def page(self, after: Key, since: date, before: datetime, limit: int) -> list[Line]:
        rows = await self._pool.fetch(_SQL["page"], *after, since, before, limit)
        return [
            Line(Key(row["tenant"], row["id"], row["run"], row["attempt"]), row["cost_usd"], row["due"]) for row in rows
        ]
