"""The day partitions: made ahead, dropped when they are over (rule L4).

Every statement may be repeated, and several processes may do this at once.
"""

from contextlib import suppress
from datetime import date, timedelta

from connectors.postgres.pool import BadData, Pool
from connectors.postgres.queries import statements

DAYS_AHEAD = 7
_LOCK = 0x5370_5061  # one at a time in a database; the number is ours
_SQL = statements("partitions")
# An attempt is updated once, when its record comes: with room for that its update stays in the page (HOT).
_FILL_FACTOR = {"bodies": 100, "results": 100, "attempts": 20, "deliveries": 100, "delivery_attempts": 100}


async def ensure_partitions(pool: Pool, today: date, ahead: int = DAYS_AHEAD) -> None:
    """Make the partitions from `today` (UTC) on. Intake calls this at its start and once a day.

    Rows of a day that came before its partition are in the default partition, where their day then stays: nothing is
    lost by a late call, such a day is deleted row by row instead of dropped. Raises Unavailable.
    """
    existing = {row["name"] for row in await pool.fetch(_SQL["partitions"])}
    days = [today + timedelta(days=offset) for offset in range(ahead + 1)]
    missing = [(table, day) for day in days for table in _FILL_FACTOR if _name(table, day) not in existing]
    for table, day in missing:
        with suppress(BadData):  # the default partition holds rows of that day
            await pool.fetch(_creation(table, day))


def _creation(table: str, day: date) -> str:
    """IF NOT EXISTS alone does not keep two callers apart."""
    return (
        f"DO $$ BEGIN PERFORM pg_advisory_xact_lock({_LOCK}); "
        f"CREATE TABLE IF NOT EXISTS {_name(table, day)} PARTITION OF {table} "
        f"FOR VALUES FROM ('{day}') TO ('{day + timedelta(days=1)}') WITH (fillfactor = {_FILL_FACTOR[table]}); END $$"
    )


async def sweep(pool: Pool, claims_before: date, results_before: date) -> None:
    """Forget requests claimed before the one day; results, jobs and dead letters from before the other (UTC).

    Raises Unavailable. `claims_before` is the dedupe horizon: an id from before it may be used anew. A request that is
    not finished and produced is never forgotten, and keeps the partitions of its day.
    """
    await pool.fetch(_SQL["forget_claims"], claims_before)
    await pool.fetch(_SQL["forget_cancels"], claims_before)
    for statement in ("forget_waiting", "forget_lookouts", "forget_workers"):
        await pool.fetch(_SQL[statement])
    await pool.fetch(_SQL["forget_jobs"], results_before)
    await pool.fetch(_SQL["forget_letters"], results_before)
    await pool.fetch(_SQL["forget_budget_accounts"], results_before)
    oldest = await pool.row(_SQL["oldest_claim"])
    kept_from = claims_before if oldest is None or oldest["day"] is None else min(claims_before, oldest["day"])
    limits = {"bodies": kept_from, "attempts": kept_from, "results": min(results_before, kept_from)}
    for row in await pool.fetch(_SQL["partitions"]):
        table, _, day = row["name"].rpartition("_")
        if table in limits and day.isdigit() and date.fromisoformat(day) < limits[table]:
            # the name is the catalogue's
            # nosemgrep: sql-built-from-strings
            await pool.fetch(f"DROP TABLE IF EXISTS {row['name']}")
    for table, limit in limits.items():
        await pool.fetch(_SQL[f"forget_{table}_in_default"], limit)


def _name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"
