"""What every store of named output schemas does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.memory.schemas import MemorySchemas
from connectors.postgres.pool import connect
from connectors.postgres.schemas import PostgresSchemas
from domain.ports import Schemas
from domain.registry.schemas import Registry
from domain.schemas.model import SchemaName, SchemaRef, SchemaVersion

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FIRST = SchemaVersion("acme", "verdict", 1, {"type": "object", "title": "ü"}, "d1", NOON)
SECOND = replace(FIRST, version=2, schema={"type": "array"}, digest="d2", created_at=NOON + timedelta(days=1))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def schemas(database: str | None) -> AsyncIterator[Schemas]:
    if database is None:
        yield MemorySchemas()
        return
    pool = await connect(database, 3)
    await pool.fetch("DELETE FROM output_schemas")
    await pool.fetch("DELETE FROM output_schema_names")
    yield PostgresSchemas(pool)
    await pool.close()


async def test_a_version_is_found_by_number_and_the_newest_without_one(schemas: Schemas) -> None:
    assert await schemas.find([]) == []
    assert await schemas.add(FIRST, "BACKWARD")
    assert await schemas.add(SECOND, "FULL")
    wanted = [SchemaRef("acme", "verdict", 1), SchemaRef("acme", "verdict"), SchemaRef("acme", "verdict", 3)]
    others = [SchemaRef("globex", "verdict"), SchemaRef("acme", "other"), SchemaRef("acme", "verdict", 2)]
    assert await schemas.find([*wanted, *others]) == [FIRST, SECOND, None, None, None, SECOND]
    assert await schemas.versions("acme", "verdict") == [SECOND, FIRST]
    assert await schemas.versions("globex", "verdict") == []


async def test_a_version_is_added_once_and_never_changed(schemas: Schemas) -> None:
    assert await schemas.add(FIRST, "BACKWARD")
    assert not await schemas.add(replace(FIRST, schema={"type": "null"}, digest="x"), "NONE")
    assert await schemas.find([SchemaRef("acme", "verdict", 1)]) == [FIRST]
    assert await schemas.get("acme", "verdict") == SchemaName("verdict", "BACKWARD", 1, NOON)


async def test_names_are_a_tenants_own_and_paged(schemas: Schemas) -> None:
    for tenant, name in (("acme", "b"), ("acme", "a"), ("acme", "c"), ("globex", "d")):
        await schemas.add(replace(FIRST, tenant=tenant, name=name), "NONE")
    assert [one.name for one in await schemas.names("acme", 2, "")] == ["a", "b"]
    assert [one.name for one in await schemas.names("acme", 2, "b")] == ["c"]


async def test_compatibility_is_the_names(schemas: Schemas) -> None:
    assert not await schemas.set_compatibility("acme", "verdict", "FULL")
    await schemas.add(FIRST, "BACKWARD")
    assert await schemas.set_compatibility("acme", "verdict", "FULL")
    assert not await schemas.set_compatibility("globex", "verdict", "NONE")
    assert await schemas.get("acme", "verdict") == SchemaName("verdict", "FULL", 1, NOON)
    assert await schemas.get("acme", "none") is None


async def test_of_many_at_once_each_gets_a_version_of_its_own(schemas: Schemas) -> None:
    registry = Registry(schemas, lambda: NOON)

    async def add(size: int) -> int:
        schema = {"type": "string", "maxLength": size}
        return (await registry.add(SchemaRef("acme", "many"), schema, "NONE")).version.version

    assert sorted(await asyncio.gather(*(add(size) for size in range(4)))) == [1, 2, 3, 4]
