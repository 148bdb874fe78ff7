"""The wake stage with 100,000 requests that wait, on PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from agents.departures import Departures
from agents.emit import Emitter
from agents.tenants import Tenants
from agents.wake.lanes import Lanes
from agents.wake.loop import BATCH, Wake, WakePorts
from benchmarks.waiting import wait_many
from connectors.catalog import utc_now
from connectors.memory.accounts import MemoryAccounts
from connectors.memory.broker import MemoryBroker, MemoryProducer
from connectors.memory.limiter import MemoryLimiter
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.replies import MemoryReplies
from connectors.postgres.lanes import PostgresFlights
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import Pool, connect
from domain.accounts.limits import Defaults
from topics.table import CALLS

pytestmark = [pytest.mark.integration, pytest.mark.timeout(170)]
ROWS, WORKERS = 100_000, 3


@pytest.fixture
async def pools(database_url: str) -> AsyncIterator[list[Pool]]:
    found = [await connect(database_url, 2, timeout=30) for _ in range(WORKERS)]
    yield found
    for pool in found:
        await pool.close()


def wake(pool: Pool, broker: MemoryBroker) -> Wake:
    ledger, producer, metrics = PostgresLedger(pool), MemoryProducer(broker), MemoryMetrics()
    limiter, emitter = MemoryLimiter(), Emitter(producer, MemoryReplies(), ledger, metrics)
    tenants = Tenants(MemoryAccounts(), Defaults(1, 1, lane_places=ROWS))
    lanes = Lanes(ledger, limiter, PostgresFlights(pool), tenants, utc_now)
    return Wake(WakePorts(ledger, producer, emitter, metrics, utc_now, lanes, Departures(limiter)))


async def test_L10_several_workers_wake_100000_rows_once_each_in_due_order(
    database_url: str, pools: list[Pool]
) -> None:
    admin = await asyncpg.connect(database_url)
    places = await wait_many(admin, ROWS)
    broker = MemoryBroker()
    turns = [0] * WORKERS

    async def work(number: int) -> None:
        stage = wake(pools[number], broker)
        while await stage.wake_due():
            turns[number] += 1

    await asyncio.gather(*(work(number) for number in range(WORKERS)))
    woken = [(record.key or b"").decode().partition("/")[::2] for record in broker.log[CALLS["standard"]]]
    assert len(woken) == ROWS
    assert set(woken) == places.keys(), "some were woken twice and some never"
    assert max(abs(places[key] - n) for n, key in enumerate(woken)) <= BATCH * (WORKERS + 1), "due order was not kept"
    assert min(turns) > ROWS / BATCH / WORKERS / 3, "one of them did the work of all"
    assert await admin.fetchval("SELECT count(*) FROM waiting") == 0
    assert await admin.fetchval("SELECT count(*) FROM claims WHERE state <> 'accepted' OR epoch <> 2") == 0
    await admin.close()
