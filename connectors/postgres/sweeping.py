"""What brings requests back (rules L7, L10, L15): wake, and the sweeper with its lookouts.

No updated column of a claim is indexed, so that the hot statements stay cheap: an unfinished request cannot be found
by its state. Two side tables find it instead, at no cost to the hot statements:

    waiting    one row for each request that waits, and for each delivery that met a live lease
    lookouts   one row for each request that is to be looked at again, and when

A *patrol* walks along the bodies in the order of their claims (they are inserted once, so their time is indexed) and
looks at each request once, 30 s after its claim: what is not finished and emitted by then gets a lookout. So do
requests with a deadline, at their claim, and requests that were woken, since a wake that dies before it has produced
leaves nothing behind on any topic. Cost of the patrol: about 4 µs of the server a request, outside the hot path.
"""

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.ledger.model import Finished, Woken

_SQL = statements("sweep")
_PAGE = 2_000
_PAGES = 20


async def wake(pool: Pool, limit: int) -> list[Woken]:
    return [Woken(**row) for row in await pool.fetch(_SQL["wake"], limit)]


async def stray(pool: Pool, limit: int) -> list[Woken]:
    """Also tidies the lookouts that need nobody now."""
    await _patrol(pool)
    await pool.fetch(_SQL["tidy"], _PAGE)
    return [Woken(**row) for row in await pool.fetch(_SQL["stray"], limit)]


async def overdue(pool: Pool, limit: int) -> list[Woken]:
    await _patrol(pool)
    return [Woken(**row) for row in await pool.fetch(_SQL["overdue"], limit)]


async def unemitted(pool: Pool, limit: int) -> list[Finished]:
    await _patrol(pool)
    rows = await pool.fetch(_SQL["unemitted"], limit)
    return [Finished(r["tenant"], r["id"], r["run"], r["call"], r["result"], tuple(r["usage"])) for r in rows]


async def _patrol(pool: Pool) -> None:
    """On to 30 s ago, at most 40,000 requests a call."""
    for _ in range(_PAGES):
        row = await pool.row(_SQL["patrol"], _PAGE)
        if row is None or row["looked"] < _PAGE:
            return
