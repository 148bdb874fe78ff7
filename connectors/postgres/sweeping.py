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

from collections.abc import Sequence
from typing import Any

from connectors.postgres import coalescing
from connectors.postgres.outcomes import outcomes
from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from domain.ledger.model import Finished, Woken

_SQL = statements("sweep")
_PAGE = 2_000
_GROWING = ["claims", "waiting", "lookouts", "questions", "cancels", "jobs", "outbox", "budget_holds", "budget_entries"]
_PAGES = 20


async def wake(pool: Pool, limit: int) -> list[Woken]:
    return await woken(pool, await pool.fetch(_SQL["wake"], limit))


async def stray(pool: Pool, limit: int) -> list[Woken]:
    """Also tidies the lookouts that need nobody now, and the questions that nobody asks any more."""
    await keep_plans(pool)
    await _patrol(pool)
    await pool.fetch(_SQL["tidy"], _PAGE)
    await coalescing.forget(pool)
    return await woken(pool, await pool.fetch(_SQL["stray"], limit))


async def overdue(pool: Pool, limit: int) -> list[Woken]:
    await _patrol(pool)
    return await woken(pool, await pool.fetch(_SQL["overdue"], limit))


async def unemitted(pool: Pool, limit: int) -> list[Finished]:
    await _patrol(pool)
    rows = await pool.fetch(_SQL["unemitted"], limit)
    calls = await _calls(pool, rows)
    ends = await outcomes(pool, [(row["tenant"], row["id"], row["run"]) for row in rows])
    return [
        Finished(row["tenant"], row["id"], row["run"], calls[n], result, usage)
        for n, (row, (result, usage)) in enumerate(zip(rows, ends, strict=True))
        if n in calls and result is not None
    ]


async def woken(pool: Pool, rows: Sequence[Any]) -> list[Woken]:
    """With their calls. What this process does not get to hand on, because it dies here, is found by a lookout."""
    calls = await _calls(pool, rows)
    return [
        Woken(row["tenant"], row["id"], row["run"], row["lane"], calls[n], row["epoch"])
        for n, row in enumerate(rows)
        if n in calls
    ]


async def _calls(pool: Pool, rows: Sequence[Any]) -> dict[int, bytes]:
    if not rows:
        return {}
    keys = [(row["tenant"], row["id"], row["run"], row["day"]) for row in rows]
    return {row["n"]: row["call"] for row in await pool.fetch(_SQL["calls"], *columns(keys, 4))}


async def keep_plans(pool: Pool) -> None:
    """Have plans made anew that were made when a table was small.

    A plan is kept (pool.py) until the table's statistics are taken again, which the server thinks of once a minute. For
    a table that was seen nearly empty it may read all of it and then the few keys that are looked for.
    """
    for row in await pool.fetch(_SQL["outgrown"], _GROWING):
        # not where somebody else is at it; every connection hears of it
        # the name is the catalogue's
        # nosemgrep: sql-built-from-strings
        await pool.fetch(f"ANALYZE (SKIP_LOCKED) {row['name']}")


async def _patrol(pool: Pool) -> None:
    """On to 30 s ago, at most 40,000 requests a call."""
    mark = await pool.row(_SQL["patrol_mark"])
    seen = None if mark is None else mark["seen"]
    for _ in range(_PAGES):
        page = await pool.row(_SQL["patrol"], seen, _PAGE)
        if page is None or page["seen"] is None:
            return
        seen = page["seen"]
        await pool.fetch(_SQL["patrol_moved"], seen)
        if page["looked"] < _PAGE:
            return
