"""Who waits for a place, and who is in flight, in PostgreSQL."""

from collections.abc import Sequence

from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from connectors.postgres.sweeping import woken
from domain.admission.model import Flight
from domain.ledger.model import Release, Woken

_SQL = statements("lanes")


class PostgresFlights:
    """Implements domain.ports.Flights."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def in_flight(self, limit: int) -> list[Flight]:
        return [Flight(**row) for row in await self._pool.fetch(_SQL["in_flight"], limit)]

    async def ended(self, flights: Sequence[Flight]) -> list[Flight]:
        given = [(flight.tenant, flight.id, flight.run) for flight in flights]
        return [flights[row["n"]] for row in await self._pool.fetch(_SQL["ended"], *columns(given, 3))]


async def gates(pool: Pool, limit: int, after: tuple[str, str]) -> list[tuple[str, str]]:
    return [(row["tenant"], row["gate"]) for row in await pool.fetch(_SQL["gates"], *after, limit)]


async def let_in(pool: Pool, batch: Sequence[Release]) -> list[Woken]:
    given = [(one.tenant, one.gate, one.places) for one in batch]
    return await woken(pool, await pool.fetch(_SQL["let_in"], *columns(given, 3)))
