"""Every suite of the ledger runs over the ledger in memory and over the one in PostgreSQL."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.contract.ledgers import World, in_memory, in_postgres
from tests.fakes.snowflake import snowflake


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def world(database: str | None) -> AsyncIterator[World]:
    async with in_memory() if database is None else in_postgres(database) as found:
        yield found


@pytest.fixture(scope="session")
def snowflake_url() -> Iterator[str]:
    with snowflake() as url:
        yield url
