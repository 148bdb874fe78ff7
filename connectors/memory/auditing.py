"""The two sides of the bill in this process: twins of those in PostgreSQL and ClickHouse."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

from connectors.memory.sink import MemorySink
from connectors.memory.store import MemoryStore, Request
from domain.auditing.model import NOTHING, Key, Line


class MemoryBooks:
    """Implements domain.ports.Books over `store`."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    async def page(self, after: Key, since: date, before: datetime, limit: int) -> list[Line]:
        rows = [row for row in self._store.requests.values() if row.claimed_at.date() >= since]
        lines = sorted((line for row in rows for line in _lines(row, before)), key=lambda line: line.key)
        return [line for line in lines if line.key > after][:limit]


class MemoryBill:
    """Implements domain.ports.Bill over a MemorySink."""

    def __init__(self, sink: MemorySink) -> None:
        self._sink = sink

    async def costs(self, first: Key, last: Key, since: date) -> dict[Key, Decimal]:
        known = {Key(*key): call for key, call in self._sink.calls.items() if call.at.date() >= since}
        return {key: call.cost_usd for key, call in known.items() if first <= key <= last}


def _lines(row: Request, before: datetime) -> Iterator[Line]:
    for run, attempts in row.attempts.items():
        over = run == row.run and row.emitted_at is not None and row.emitted_at < before
        for number, attempt in enumerate(attempts, start=1):
            key = Key(row.tenant, row.id, run, number)
            yield Line(key, attempt.cost_usd or NOTHING, over and attempt.record is not None)
