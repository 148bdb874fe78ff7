"""Everything the ledger knows about one request."""

from collections.abc import Sequence
from typing import Any

from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from domain.ledger.model import Attempt, RequestRecord, Source, State

_SQL = statements("find")


async def find(pool: Pool, tenant: str, id: str) -> RequestRecord | None:
    """Two statements, not one moment: for people and for sums over finished attempts, never for a decision."""
    row = await pool.row(_SQL["request"], tenant, id)
    if row is None:
        return None
    attempts = await pool.fetch(_SQL["attempts"], tenant, id, row["run"], row["day"])
    return _record(row, tuple(Attempt(**attempt) for attempt in attempts))


async def tried(pool: Pool, runs: Sequence[tuple[str, str, int]]) -> list[tuple[Attempt, ...]]:
    """One statement, one moment."""
    found: list[list[Attempt]] = [[] for _ in runs]
    for n, *attempt in await pool.fetch(_SQL["tried"], *columns(runs, 3)) if runs else ():
        found[n].append(Attempt(*attempt))
    return [tuple(attempts) for attempts in found]


def _record(row: Any, attempts: tuple[Attempt, ...]) -> RequestRecord:
    return RequestRecord(
        tenant=row["tenant"],
        id=row["id"],
        run=row["run"],
        epoch=row["epoch"],
        state=State(row["state"]),
        lane=row["lane"],
        source=Source(row["source_topic"], row["source_partition"], row["source_offset"]),
        dispatches=row["dispatches"],
        created_at=row["claimed_at"],
        updated_at=row["updated_at"],
        submitted_at=row["submitted_at"],
        not_before=row["not_before"],
        reason=row["reason"],
        worker=row["incarnation"],
        lease_until=row["expires_at"],
        settled_by=row["settled_by"],
        emitted_at=row["emitted_at"],
        error_code=row["error_code"],
        result=row["result"],
        attempts=attempts,
    )
