"""The two sides of the bill: the ledger's pages of attempts, and what the analyst has of them."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal

import pytest

from connectors.clickhouse.bill import ClickHouseBill
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.sink import ClickHouseSink
from connectors.memory.auditing import MemoryBill, MemoryBooks
from connectors.memory.sink import MemorySink
from connectors.postgres.books import PostgresBooks
from connectors.postgres.pool import connect
from domain.auditing.model import FIRST, Key, Line
from domain.ports import Bill, Books, Sink
from tests.contract.ledgers import World, done, in_hand, settlement
from tests.contract.messages import NOON, call

COST = done().cost_usd
DAY = timedelta(days=1)


@pytest.fixture
async def books(world: World, database: str | None) -> AsyncIterator[Books]:
    if database is None:
        yield MemoryBooks(world.letters._store)  # type: ignore[attr-defined]  # the world's own store
        return
    pool = await connect(database, 1)
    yield PostgresBooks(pool)
    await pool.close()


async def page(world: World, books: Books, after: Key = FIRST, limit: int = 10, late: float = 60.0) -> list[Line]:
    now = world.now()
    return await books.page(after, (now - DAY).date(), now + timedelta(seconds=late), limit)


async def test_an_attempt_is_due_once_its_run_was_produced(world: World, books: Books) -> None:
    worker, answer = await in_hand(world, "a")
    key = Key("acme", "a", 1, 1)
    assert [(line.key, line.due) for line in await page(world, books)] == [(key, False)]
    await worker.settle([settlement("a", answer.epoch)])
    assert [line.due for line in await page(world, books)] == [False]
    await worker.emitted([("acme", "a", 1)])
    assert await page(world, books) == [Line(key, COST, due=True)]
    assert [line.due for line in await page(world, books, late=-3600)] == [False]


async def test_pages_follow_each_other_in_the_order_of_their_keys(world: World, books: Books) -> None:
    for number, id in enumerate(("b", "a.1", "a", "B"), start=1):
        worker, answer = await in_hand(world, id, offset=number)
        await worker.settle([settlement(id, answer.epoch)])
    first = await page(world, books, limit=3)
    rest = await page(world, books, first[-1].key, limit=3)
    assert [line.key.id for line in (*first, *rest)] == ["B", "a", "a.1", "b"]
    assert await page(world, books, rest[-1].key) == []


async def test_what_was_claimed_before_the_days_is_left_out(world: World, books: Books) -> None:
    await in_hand(world, "a")
    now = world.now()
    assert await books.page(FIRST, (now + 2 * DAY).date(), now, 10) == []


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.integration)])
async def billed(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Sink, Bill]]:
    if request.param == "memory":
        twin = MemorySink()
        yield twin, MemoryBill(twin)
        return
    async with ClickHouse(request.getfixturevalue("clickhouse_url")) as clickhouse:
        await apply(clickhouse)
        yield ClickHouseSink(clickhouse), ClickHouseBill(clickhouse)


async def test_the_bill_has_each_attempt_between_two_keys_once(billed: tuple[Sink, Bill]) -> None:
    sink, bill = billed
    batch = [call("a", cost_usd="0.5"), call("b", 2, cost_usd="0.000000001"), call("c"), call("b", tenant="globex")]
    for _ in range(2):
        assert await sink.write(batch) == []
    since = date(2026, 11, 19)
    assert await bill.costs(Key("acme", "a", 1, 1), Key("acme", "b", 1, 2), since) == {
        Key("acme", "a", 1, 1): Decimal("0.5"),
        Key("acme", "b", 1, 2): Decimal("0.000000001"),
    }
    assert len(await bill.costs(Key("acme", "a", 1, 1), Key("globex", "b", 1, 1), since)) == 4
    assert await bill.costs(Key("acme", "a", 1, 1), Key("globex", "b", 1, 1), (NOON + DAY).date()) == {}
