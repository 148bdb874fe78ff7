"""Compares the bill with the ledger, a page a minute, in the process of the ClickHouse sink (both engines are its own).

A page that differs is read again in each turn until it agrees, so that rows which come late clear themselves.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from domain.auditing.model import FIRST, Difference, Key, difference
from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import Bill, Books

EVERY_S = 60.0
PAGE = 5_000
SUSPECTS = 5
"""Pages that differ at most, before no others are looked at."""
DUE = timedelta(minutes=5)
"""The sink has it after seconds; what it has not after this time may not come."""
DAYS = timedelta(days=2)
log = structlog.get_logger("deliver")


class Auditor:
    """`now` gives the time in UTC."""

    def __init__(self, books: Books, bill: Bill, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._books = books
        self._bill = bill
        self._metrics = metrics
        self._now = now
        self._after = FIRST
        self._suspects: list[Key] = []
        self._told = 0

    async def keep(self, every_s: float = EVERY_S) -> None:
        """Compare until cancelled; an engine that is away is asked again the next time."""
        while True:
            try:
                await self.turn()
            except Transient as error:
                log.warning("audit_waits", reason=str(error))
            await asyncio.sleep(every_s)

    async def turn(self) -> None:
        """The pages that differed, and the next one. Raises Unavailable."""
        suspects, total = [], Difference()
        fresh = [self._after] if len(self._suspects) < SUSPECTS and self._after not in self._suspects else []
        for start in [*self._suspects, *fresh]:
            found, last = await self._compare(start)
            if found.attempts:
                suspects.append(start)
                total = total.plus(found)
            if start == self._after:
                self._after = last
        self._suspects = suspects
        self._metrics.gauge("ledger_bill_differing", total.attempts)
        self._metrics.gauge("ledger_bill_usd", float(total.usd))
        if total.attempts != self._told:
            first = total.first or FIRST
            log.warning(
                "ledger_is_not_bill", attempts=total.attempts, usd=str(total.usd), tenant=first.tenant,
                request_id=first.id, run=first.run, attempt=first.attempt,
            )  # fmt: skip
            self._told = total.attempts

    async def _compare(self, after: Key) -> tuple[Difference, Key]:
        """What differs on the page behind `after`, and its last key: the first one of all behind the last page."""
        now = self._now()
        since = (now - DAYS).date()
        lines = await self._books.page(after, since, now - DUE, PAGE)
        last = lines[-1].key if len(lines) == PAGE else FIRST
        due = [line for line in lines if line.due]
        if not due:
            return Difference(), last
        bill = await self._bill.costs(due[0].key, due[-1].key, since)
        self._metrics.count("ledger_bill_compared", len(due))
        return difference(due, bill), last
