"""Sources that operators made over HTTP, as they are kept."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.memory.sources import MemorySources
from connectors.postgres.pool import connect
from connectors.postgres.sources import PostgresSources
from domain.ports import SourceStore
from domain.sources.stored import Stored

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FIELDS = {"topic": "crm.tickets", "request": {"tenant": "acme", "temperature": 0.5}, "map": {"prompt": "\u0000'ü'"}}
TICKETS = Stored("tickets", FIELDS, b"\x01\x00\xff", NOW)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def store(database: str | None) -> AsyncIterator[SourceStore]:
    if database is None:
        yield MemorySources()
        return
    pool = await connect(database, 1)
    found = PostgresSources(pool)
    for one in await found.all():
        await found.delete(one.name)
    yield found
    await pool.close()


async def test_what_was_put_is_there_by_name(store: SourceStore) -> None:
    assert await store.all() == []
    assert await store.put(TICKETS)
    forms = Stored("forms", {"webhook": {"secret_env": "WEBHOOK_SECRET"}}, b"", NOW)
    assert await store.put(forms)
    assert await store.all() == [forms, TICKETS]


async def test_one_takes_the_place_of_that_with_its_name(store: SourceStore) -> None:
    assert await store.put(TICKETS)
    changed = replace(TICKETS, fields={"topic": "other"}, sealed=b"", changed_at=NOW + timedelta(hours=1))
    assert not await store.put(changed)
    assert await store.all() == [changed]


async def test_what_was_deleted_is_gone(store: SourceStore) -> None:
    await store.put(TICKETS)
    assert await store.delete("tickets")
    assert not await store.delete("tickets")
    assert await store.all() == []
