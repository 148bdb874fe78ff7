"""What every book of streams does."""

from collections.abc import AsyncIterator

import pytest

from connectors.memory.stream_book import MemoryStreamBook
from connectors.postgres.pool import connect
from connectors.postgres.stream_book import PostgresStreamBook
from domain.ports import StreamBook
from domain.sinks.streams import Entry, Mark
from topics.table import RESULTS, USAGE

ONE, OTHER = (RESULTS, 0), (USAGE, 3)
FIRST = Mark("s1", "b1", 7, 5, {6: 'too "odd"'})


@pytest.fixture
async def book(database: str | None) -> AsyncIterator[StreamBook]:
    if database is None:
        yield MemoryStreamBook()
        return
    pool = await connect(database, 1)
    await pool.fetch("DELETE FROM sink_streams")
    await pool.close()
    made = PostgresStreamBook(database)
    yield made
    await made.close()


async def test_what_was_kept_is_read_by_target_and_partition(book: StreamBook) -> None:
    assert await book.read("t", [ONE, OTHER]) == {}
    assert await book.keep("t", {ONE: Entry(FIRST, ""), OTHER: Entry(Mark("s2", "b1"), "")}) == {ONE, OTHER}
    assert await book.read("t", [ONE, OTHER]) == {ONE: FIRST, OTHER: Mark("s2", "b1")}
    assert await book.read("t", [ONE, (USAGE, 0)]) == {ONE: FIRST}
    assert await book.read("u", [ONE]) == {}


async def test_only_who_knows_the_stream_moves_its_mark(book: StreamBook) -> None:
    await book.keep("t", {ONE: Entry(FIRST, ""), OTHER: Entry(Mark("x", "b1"), "")})
    taken = Mark("s2", "b1", 7)
    moved = Mark("x", "b1", 9, 9)
    assert await book.keep("t", {ONE: Entry(taken, "s1"), OTHER: Entry(moved, "x")}) == {ONE, OTHER}
    # the process before has not heard of it
    assert await book.keep("t", {ONE: Entry(Mark("s1", "b1", 99, 97), "s1"), OTHER: Entry(moved, "x")}) == {OTHER}
    assert await book.keep("t", {ONE: Entry(FIRST, "")}) == frozenset()
    assert await book.read("t", [ONE, OTHER]) == {ONE: taken, OTHER: moved}
