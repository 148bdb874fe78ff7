"""Books what ended attempts cost, each second, and tells of budgets that reached a mark (L12). Any number may run."""

import asyncio
import hashlib
from datetime import datetime
from typing import Any

import structlog

from agents.emit import bill_record
from domain.budgets.model import Notice
from domain.budgets.rules import span
from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import Budgets, Producer, Record
from topics import headers as head
from topics import table
from topics.base import format_money, format_time
from topics.codec import encode

log = structlog.get_logger("wake")

EVERY = 1.0
BATCH = 5_000
NOTICES = 100


class Bookkeeper:
    """Until an attempt is booked all that it might have cost is held: a late bookkeeper spends nothing too much.

    One that dies between producing and saying so leaves its notices to the next, which produces the same bytes again.
    """

    def __init__(self, budgets: Budgets, producer: Producer, metrics: Metrics) -> None:
        self._budgets = budgets
        self._producer = producer
        self._metrics = metrics

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                busy = await self.book()
            except Transient as error:
                log.warning("dependency_away", reason=str(error), wait_s=EVERY)
                busy = False
            await asyncio.sleep(0 if busy else EVERY)

    async def book(self) -> bool:
        """True when there may be more at once. Raises Unavailable."""
        booked = await self._budgets.fold(BATCH)
        self._metrics.count("budget_entries", booked)
        notices = await self._budgets.notices(NOTICES)
        if notices:
            await self._producer.send([_event(notice) for notice in notices])
            await self._budgets.told(notices)
            for notice in notices:
                self._metrics.count("budget_marks", mark=str(notice.mark))
        await self._produce_again()
        return booked == BATCH or len(notices) == NOTICES

    async def _produce_again(self) -> None:
        """Usage records of calls beside attempts whose worker did not say that it produced them."""
        bills = await self._budgets.unproduced(NOTICES)
        if bills:
            await self._producer.send([bill_record(bill) for bill in bills])
            await self._budgets.produced(bills)


def _event(notice: Notice) -> Record:
    kind = "budget.exceeded" if notice.mark == 100 else "budget.threshold"
    what = f"{kind}/{notice.tenant}/{notice.serial}/{notice.label}/{notice.mark}"
    event_id = hashlib.sha256(what.encode()).hexdigest()[:32]
    at = format_time(notice.at)
    event = {"event_id": event_id, "type": kind, "tenant": notice.tenant, "id": None, "run": None, "at": at,
             "data": _data(notice, *span(notice.period, notice.label))}  # fmt: skip
    return Record(table.EVENTS, encode(event), notice.tenant.encode(), head.EVENT.headers(event_id, at))


def _data(notice: Notice, start: datetime, end: datetime) -> dict[str, Any]:
    return {
        "budget": notice.budget,
        "percent": notice.mark,
        "period": notice.period,
        "period_start": format_time(start),
        "period_end": format_time(end),
        "limit_usd": format_money(notice.limit_usd),
        "spent_usd": format_money(notice.spent_usd),
        "reserved_usd": format_money(notice.held_usd),
    }
