"""How fast waiting requests come back: `DATABASE_URL=… python -m benchmarks.waiting [ROWS]`.

Due requests in a database of its own, which it removes, woken in batches by one, two and three workers at once.
"""

import asyncio
import sys
import time
from typing import Any

import asyncpg
import uvloop

from benchmarks.databases import own_database
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import connect

BATCH = 500
_SEED = """
WITH made AS (
    SELECT 'tenant-' || n % 5 AS tenant, 'order-' || lpad(n::text, 7, '0') AS id,
           now() - interval '1 hour' + (n * 7919 % {count}) * interval '1 millisecond' AS not_before
    FROM generate_series(0, {count} - 1) n
), claimed AS (
    INSERT INTO claims (tenant, id, day, run, epoch, state, lane, dispatches, attempts, fail_on_unknown,
                        cancel_requested, body_hash, source_topic, source_partition, source_offset,
                        submitted_at, claimed_at, updated_at)
    SELECT tenant, id, (now() AT TIME ZONE 'utc')::date, 1, 1, 'waiting', 'standard', 0, 0, false, false, '\\x01',
           'prompt.requests', 0, 0, now(), now(), now()
    FROM made
), stored AS (
    INSERT INTO bodies (tenant, id, run, day, claimed_at, call)
    SELECT tenant, id, 1, (now() AT TIME ZONE 'utc')::date, now(), convert_to(id || repeat(' ', 580), 'UTF8')
    FROM made
)
INSERT INTO waiting (tenant, id, run, epoch, not_before, reason, lane)
SELECT tenant, id, 1, 1, not_before, 'rate_limit', 'standard' FROM made
"""


async def wait_many(connection: Any, count: int) -> dict[tuple[str, str], int]:
    """Put `count` due requests into waiting, in a shuffled order; gives each one's (tenant, id) place in due order.

    `count` and 7,919 have no common divisor.
    """
    await connection.execute(_SEED.format(count=count))
    await connection.execute("ANALYZE waiting")
    rows = await connection.fetch("SELECT tenant, id FROM waiting ORDER BY not_before")
    return {(row["tenant"], row["id"]): place for place, row in enumerate(rows)}


async def round_of(url: str, workers: int, count: int) -> str:
    admin = await asyncpg.connect(url)
    await admin.execute("TRUNCATE claims, bodies, waiting, lookouts")
    places = await wait_many(admin, count)
    await admin.close()
    pools = [await connect(url, 1) for _ in range(workers)]
    woken: list[tuple[str, str]] = []

    async def work(ledger: PostgresLedger) -> None:
        while batch := await ledger.wake(BATCH):
            woken.extend((one.tenant, one.id) for one in batch)

    began = time.perf_counter()
    await asyncio.gather(*(work(PostgresLedger(pool)) for pool in pools))
    seconds = time.perf_counter() - began
    for pool in pools:
        await pool.close()
    assert len(woken) == len(set(woken)) == count, "a row was woken twice, or not at all"
    late = max(abs(places[key] - n) for n, key in enumerate(woken))
    return f"{workers} workers: {count / seconds:8,.0f} rows/s, at most {late} places from due order"


async def main(url: str) -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for workers in (1, 2, 3):
        print(await round_of(url, workers, count))


if __name__ == "__main__":
    with own_database() as found:
        uvloop.run(main(found))
