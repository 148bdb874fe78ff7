"""The audit of the ledger against the bill, on the in-memory twins of both."""

from datetime import timedelta
from decimal import Decimal

import pytest

from agents.deliver import auditor
from agents.deliver.auditor import Auditor
from connectors.memory.auditing import MemoryBill, MemoryBooks
from connectors.memory.ledger import MemoryLedger
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.sink import MemorySink
from domain.auditing.model import Difference, Key, Line, difference
from domain.ports import Item
from tests.line.memory_line import MemoryLine, request
from topics.table import USAGE


class World:
    """A line, the sink of its usage, and the audit; a request is answered `at` its minute."""

    def __init__(self) -> None:
        self.line, self.sink, self.metrics = MemoryLine(), MemorySink(), MemoryMetrics()
        books, bill = MemoryBooks(self.line.store), MemoryBill(self.sink)
        self.auditor = Auditor(books, bill, self.metrics, self.line.clock)

    async def answer(self, *ids: str) -> None:
        infer = await self.line.infer(f"w-{ids[0]}")
        for id in ids:
            await self.line.answer(request(id, cache="bypass"), infer)
        await MemoryLedger(self.line.store, self.line.clock).emitted([("acme", id, 1) for id in ids])
        self.line.pass_time(minutes=6)

    def usage(self) -> list[Item]:
        items = [item for partition in range(4) for item in self.line.broker.read(USAGE, partition, 0)]
        return sorted(items, key=lambda item: item.offset)

    async def differs(self) -> tuple[float, float]:
        await self.auditor.turn()
        return self.metrics.value("ledger_bill_differing"), self.metrics.value("ledger_bill_usd")


async def test_a_bill_that_is_the_ledger_differs_in_nothing() -> None:
    world = World()
    await world.answer("a", "b")
    await world.sink.write(world.usage())
    assert await world.differs() == (0, 0)
    assert world.metrics.value("ledger_bill_compared") == 2


async def test_a_row_that_is_missing_is_told_with_its_dollars_until_it_comes() -> None:
    world = World()
    await world.answer("a", "b", "c")
    await world.sink.write(world.usage()[1:])
    missing, usd = await world.differs()
    assert (missing, usd > 0) == (1, True)
    assert await world.differs() == (missing, usd)
    await world.sink.write(world.usage()[:1])
    assert await world.differs() == (0, 0)


async def test_what_may_still_be_on_its_way_is_not_missed_yet() -> None:
    world = World()
    await world.answer("a")
    world.line.now -= timedelta(minutes=2)
    assert await world.differs() == (0, 0)


async def test_pages_that_differ_are_looked_at_again_while_others_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "PAGE", 2)
    world = World()
    await world.answer("a", "b", "c", "d", "e")
    await world.sink.write(world.usage()[1:])
    assert [(await world.differs())[0] for _ in range(6)] == [1] * 6
    await world.sink.write(world.usage()[:1])
    assert (await world.differs())[0] == 0


async def test_when_everything_is_missing_the_audit_stays_with_the_first_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auditor, "PAGE", 1)
    world = World()
    await world.answer(*"abcdefgh")
    assert [(await world.differs())[0] for _ in range(8)] == [1, 2, 3, 4, 5, 5, 5, 5]
    await world.sink.write(world.usage())
    assert (await world.differs())[0] == 0


def test_another_price_differs_and_what_is_not_due_or_only_on_the_bill_does_not() -> None:
    def line(id: str, usd: str, due: bool = True) -> Line:
        return Line(Key("acme", id, 1, 1), Decimal(usd), due)

    bill = {Key("acme", "a", 1, 1): Decimal("0.3"), Key("acme", "more", 1, 1): Decimal(9)}
    found = difference([line("a", "0.5"), line("b", "1", due=False), line("c", "0.25")], bill)
    assert found == Difference(2, Decimal("0.45"), Key("acme", "a", 1, 1))
    assert difference([line("a", "0.30")], bill) == Difference()
