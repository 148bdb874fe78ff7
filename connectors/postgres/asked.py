"""What was asked, in PostgreSQL."""

from datetime import date

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.caching.asked import Asked
from domain.ledger.model import Source

_MOST_ASKED = statements("asked")["most_asked"]


class PostgresQuestions:
    """Implements domain.ports.Questions. Takes about 5 µs a request of the tenant: give the pool time."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def most_asked(self, tenant: str, since: date, template: str | None, limit: int) -> list[Asked]:
        rows = await self._pool.fetch(_MOST_ASKED, tenant, since, template, limit)
        return [Asked(question, times, Source(*place)) for question, times, *place in rows]
