"""What was read of the objects of sources."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.memory.object_book import MemoryObjectBook
from connectors.postgres.object_book import PostgresObjectBook
from domain.ports import ObjectBook
from domain.sources.objects import Found, Progress

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FOUND = Found("in/a.jsonl", "v1", 10, NOW)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def book(database: str | None) -> AsyncIterator[ObjectBook]:
    found: ObjectBook = MemoryObjectBook() if database is None else PostgresObjectBook(database)
    await found.forget("tickets", datetime(1970, 1, 1, tzinfo=UTC))
    yield found
    await found.close()


async def test_what_was_read_of_an_object_is_known_by_source_and_version(book: ObjectBook) -> None:
    await book.note("tickets", FOUND, 500, False)
    assert await book.known("tickets", ["in/a.jsonl", "in/b.jsonl"]) == {"in/a.jsonl": Progress("v1", 500, False)}
    assert await book.known("forms", ["in/a.jsonl"]) == {}
    await book.note("tickets", replace(FOUND, version="v2"), 3, True)
    assert await book.known("tickets", ["in/a.jsonl"]) == {"in/a.jsonl": Progress("v2", 3, True)}


async def test_objects_since_a_time_are_forgotten(book: ObjectBook) -> None:
    await book.note("tickets", FOUND, 1, True)
    await book.note("tickets", replace(FOUND, key="in/b", modified_at=NOW + MINUTE), 1, True)
    await book.forget("tickets", NOW + MINUTE)
    assert list(await book.known("tickets", ["in/a.jsonl", "in/b"])) == ["in/a.jsonl"]


async def test_the_key_before_the_last_ones_is_by_bytes_and_by_source(book: ObjectBook) -> None:
    for key in ("in/B", "in/a", "in/é", "in/9"):
        await book.note("tickets", replace(FOUND, key=key), 1, key != "in/é")
    await book.note("forms", replace(FOUND, key="in/zz"), 1, True)
    assert [await book.before_last("tickets", count) for count in (0, 1, 3)] == ["in/é", "in/a", "in/9"]
    assert await book.before_last("tickets", 4) == ""
    assert await book.before_last("none", 0) == ""


async def test_one_member_reads_a_source_at_a_time(book: ObjectBook) -> None:
    assert await book.hold("held", "w1", NOW, MINUTE)
    assert await book.hold("held", "w1", NOW + MINUTE / 2, MINUTE)
    assert not await book.hold("held", "w2", NOW + MINUTE, MINUTE)
    assert await book.hold("other", "w2", NOW, MINUTE)
    assert await book.hold("held", "w2", NOW + 2 * MINUTE, MINUTE)
    assert not await book.hold("held", "w1", NOW + 2 * MINUTE, MINUTE)
