"""The schema: its migrations, its day partitions, what is swept."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.migrate import upgrade
from connectors.postgres.migrations import versions
from connectors.postgres.partitions import ensure_partitions, sweep
from connectors.postgres.pool import Pool, connect
from connectors.postgres.tables import metadata
from domain.errors import Unavailable
from domain.ledger.model import State
from tests.conftest import Engines, with_path
from tests.contract.ledgers import World, claim, in_hand, in_postgres, settlement, taken

pytestmark = pytest.mark.integration

TODAY = datetime.now(UTC).date()


@pytest.fixture
def empty_url(engines: Engines) -> Iterator[str]:
    name = f"test_{secrets.token_hex(4)}"
    asyncio.run(_admin(engines.database_url, f"CREATE DATABASE {name}"))
    yield with_path(engines.database_url, name)
    asyncio.run(_admin(engines.database_url, f"DROP DATABASE {name} WITH (FORCE)"))


async def _admin(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    found = await connect(database_url, 2)
    yield found
    await found.close()


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with in_postgres(database_url) as found:
        yield found


# --- migrations ------------------------------------------------------------------------------------------------------


def test_several_may_migrate_at_once_and_again(empty_url: str) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(upgrade, [empty_url] * 4))
    upgrade(empty_url)
    assert asyncio.run(_versions(empty_url)) == [_newest()]


def _newest() -> str:
    """The revision that no other one follows."""
    scripts = [path.read_text() for path in Path(versions.__file__).parent.glob("[0-9]*.py")]
    named = {name: {_named(name, script) for script in scripts} for name in ("revision", "down_revision")}
    (newest,) = named["revision"] - named["down_revision"]
    return newest or "none"


def _named(name: str, script: str) -> str | None:
    found = re.search(rf'^{name} = "(\w+)"', script, re.MULTILINE)
    return found and found[1]


async def _versions(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT version_num FROM alembic_version")
    await connection.close()
    return [row["version_num"] for row in rows]


async def test_a_running_loop_may_migrate(empty_url: str) -> None:
    upgrade(empty_url)
    assert len(await _versions(empty_url)) == 1


def test_a_server_that_is_not_there_cannot_be_migrated() -> None:
    with pytest.raises(Unavailable, match="check DATABASE_URL") as caught:
        upgrade("postgresql://app:secret@127.0.0.1:1/none")
    assert "secret" not in str(caught.value)


async def test_what_is_not_migrated_says_so(empty_url: str) -> None:
    pool = await connect(empty_url, 1)
    with pytest.raises(Unavailable, match="structured-prompt migrate"):
        await PostgresLedger(pool).claim([claim()])
    await pool.close()


async def test_the_models_are_what_the_migrations_make(database_url: str) -> None:
    engine = create_async_engine(make_url(database_url).set(drivername="postgresql+asyncpg"))
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


def _differences(connection: Connection) -> list[Any]:
    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or name in metadata.tables

    context = MigrationContext.configure(connection, opts={"include_name": ours, "compare_type": True})
    return list(compare_metadata(context, metadata))


# --- day partitions --------------------------------------------------------------------------------------------------


async def partitions(pool: Pool, table: str) -> set[str]:
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = $1::text::regclass", table
    )
    return {row["name"] for row in rows}


def name(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"


async def test_L4_days_are_made_ahead_and_any_number_of_times(pool: Pool) -> None:
    days = {name("bodies", TODAY + timedelta(days=n)) for n in range(8)}
    assert days <= await partitions(pool, "bodies")  # made by the migration
    await asyncio.gather(*(ensure_partitions(pool, TODAY, ahead=9) for _ in range(2)))
    assert name("attempts", TODAY + timedelta(days=9)) in await partitions(pool, "attempts")


async def test_L4_a_day_without_a_partition_loses_nothing_and_may_be_late(world: World, pool: Pool) -> None:
    for table in ("bodies", "results", "attempts"):
        await pool.fetch(f"DROP TABLE {name(table, TODAY)}")
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch)])
    await ensure_partitions(pool, TODAY)
    assert name("bodies", TODAY) not in await partitions(pool, "bodies")
    record = await worker.find("acme", "a")
    assert record is not None
    assert record.result == b"result of a"


async def test_L4_sweeping_forgets_what_is_over_and_keeps_what_is_not(world: World, pool: Pool) -> None:
    worker, held = await in_hand(world, "finished")
    await worker.settle([settlement("finished", held.epoch)])
    await worker.emitted([("acme", "finished", 1)])
    await worker.claim([claim("open", 2)])
    await _make_older(pool, days=20)
    await ensure_partitions(pool, TODAY - timedelta(days=25), ahead=0)

    await sweep(pool, TODAY - timedelta(days=10), TODAY - timedelta(days=30))
    assert await worker.find("acme", "finished") is None
    assert await worker.find("acme", "open") is not None
    assert name("bodies", TODAY - timedelta(days=25)) not in await partitions(pool, "bodies")
    assert (await taken(worker, "open")).attempt == 1

    # a result outlives its claim, and the id may be used again
    kept = await world.jobs.view("acme", ["finished"])
    assert [(row.state, row.run, row.result) for row in kept] == [("completed", 1, b"result of finished")]
    await worker.claim([claim("finished", 99)])
    assert [row.state for row in await world.jobs.view("acme", ["finished"])] == ["accepted"]

    await worker.settle([settlement("open", 1, state=State.FAILED, result=b"late")])
    await worker.emitted([("acme", "open", 1)])
    await sweep(pool, TODAY - timedelta(days=10), TODAY - timedelta(days=10))
    assert await worker.find("acme", "open") is None
    assert await world.jobs.view("acme", ["open"]) == []


async def _make_older(pool: Pool, days: int) -> None:
    for table in ("claims", "bodies", "results", "attempts"):
        await pool.fetch(f"UPDATE {table} SET day = day - $1::integer", days)
