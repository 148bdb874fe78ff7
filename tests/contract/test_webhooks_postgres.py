"""The queue of deliveries as only PostgreSQL has it: days, what is swept, what it refuses."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.postgres.deliveries import PostgresDeliveries
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.partitions import ensure_partitions
from connectors.postgres.pool import Pool, connect
from domain.errors import BatchRefused
from domain.webhooks.model import Wish
from tests.contract.test_webhooks import endpoint, message, over

pytestmark = pytest.mark.integration
NOW = datetime.now(UTC)
ALL = Wish({}, 9, 9, 1 << 30)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    found = await connect(database_url, 2)
    for table in ("webhook_endpoints", "deliveries", "delivery_attempts", "delivery_queue", "delivery_lanes"):
        await found.fetch(f"DELETE FROM {table}")
    yield found
    await found.close()


async def days(pool: Pool) -> set[str]:
    rows = await pool.fetch("SELECT inhrelid::regclass::text AS name FROM pg_inherits "
                            "WHERE inhparent = 'deliveries'::regclass")  # fmt: skip
    return {row["name"] for row in rows}


async def test_L4_old_deliveries_are_forgotten_by_the_day_unless_one_of_them_still_waits(pool: Pool) -> None:
    deliveries = PostgresDeliveries(pool)
    await PostgresEndpoints(pool).add(endpoint())
    for age in (12, 10, 2):
        await ensure_partitions(pool, (NOW - timedelta(days=age)).date(), ahead=0)
        await deliveries.put([replace(message(f"m{age}"), at=NOW - timedelta(days=age))], NOW)
    await deliveries.put([replace(message("late"), at=NOW - timedelta(days=30))], NOW)  # a day without a partition
    oldest = f"deliveries_{NOW - timedelta(days=12):%Y%m%d}"
    taken = await deliveries.take(ALL, NOW, NOW + timedelta(minutes=1))
    await deliveries.settle([over(one) for one in taken if one.key.id in ("late", "m2")])

    await deliveries.sweep((NOW - timedelta(days=7)).date())
    assert oldest in await days(pool)
    assert [one.id for one in await deliveries.page("acme", "e1", 9, None)] == ["m2", "m12", "m10"]

    await deliveries.settle([over(one) for one in taken])
    await deliveries.sweep((NOW - timedelta(days=7)).date())
    assert oldest not in await days(pool)
    assert [one.id for one in await deliveries.page("acme", "e1", 9, None)] == ["m2"]


async def test_lanes_without_a_queue_are_forgotten_and_come_back(pool: Pool) -> None:
    deliveries = PostgresDeliveries(pool)
    await PostgresEndpoints(pool).add(endpoint())
    for id in ("a", "b"):
        await deliveries.put([message(id)], NOW)
        taken = await deliveries.take(ALL, NOW, NOW + timedelta(minutes=1))
        await deliveries.settle([over(one) for one in taken])
        assert [one.key.id for one in taken] == [id]
        assert await deliveries.take(ALL, NOW + timedelta(hours=1), NOW + timedelta(hours=2)) == []
        assert (await deliveries.backlog()).due_since is None
        await deliveries.sweep((NOW - timedelta(days=7)).date())
        assert await pool.fetch("SELECT FROM delivery_lanes") == []


async def test_L16_a_row_that_cannot_be_stored_refuses_its_batch(pool: Pool) -> None:
    bad = replace(message("bad"), type="nul\0")
    with pytest.raises(BatchRefused):
        await PostgresDeliveries(pool).put([message("good"), bad], NOW)
    assert await pool.fetch("SELECT FROM deliveries") == []
