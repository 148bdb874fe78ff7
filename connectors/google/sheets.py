"""prompt.results as rows of a Google spreadsheet, each record once."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import orjson

from connectors.google.spreadsheet import Mark, Spreadsheet, Tab
from domain.ports import Item, Refused
from domain.sinks.columns import COLUMNS, NoRow, row
from domain.sinks.model import Place, place_text
from topics.base import format_time
from topics.table import RESULTS

ROW_ID = "record"
COLUMN_NAMES = [ROW_ID, *(column.name for column in COLUMNS[RESULTS])]
LONGEST = 50_000
"""Characters that a cell takes."""
PER_MINUTE = 50
"""Of the 60 writes a minute that Google allows a user by default."""


class SheetsSink:
    """Implements domain.ports.Sink.

    The rows of a batch go with a mark for each of its partitions, in one request that takes effect as a whole: the mark
    says which records are there, and its id is one that only one writer can give (docs/decisions/0038). After anything
    that went wrong the marks are read again. Each row begins with the place of its record, `prompt.results/3@17`.
    """

    topics: tuple[str, ...] = (RESULTS,)

    def __init__(
        self,
        sheet: Spreadsheet,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._sheet = sheet
        self._clock, self._sleep = clock, sleep
        self._tab: Tab | None = None
        self._free_at = 0.0

    async def open(self) -> None:
        """Makes the tab and its columns where they are missing. Raises Unavailable."""
        self._tab = await self._sheet.look(COLUMN_NAMES)

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        """Raises Unavailable."""
        tab = self._tab or await self._sheet.look(COLUMN_NAMES)
        self._tab = None  # until it is known how this ends
        rows, refused = [], []
        ends: dict[Place, int] = defaultdict(int)
        for item in batch:
            if item.topic != RESULTS:
                continue
            place = item.topic, item.partition
            try:
                cells = _cells(item)
            except NoRow as error:
                refused.append(Refused(item, str(error)))
            else:
                if item.offset >= tab.next(place):
                    rows.append(cells)
            ends[place] = max(ends[place], item.offset + 1)
        marks: dict[Place, Mark] = {
            place: tab.after(place, end) for place, end in ends.items() if end > tab.next(place)
        }
        if marks:
            await self._pace()
            await self._sheet.append(tab, rows, marks)
        self._tab = tab
        return refused

    async def close(self) -> None:
        self._tab = None
        await self._sheet.close()

    async def _pace(self) -> None:
        """Writes are spread over the minute, rather than refused at its end."""
        now = self._clock()
        if now < self._free_at:
            await self._sleep(self._free_at - now)
        self._free_at = max(now, self._free_at) + 60 / PER_MINUTE


def _cells(item: Item) -> dict[str, Any]:
    """Cells by column, none where there is no value. Texts stay texts: none is read as a formula. Raises NoRow."""
    found = row(RESULTS, item.value)
    cells = {ROW_ID: _cell(f"{place_text((item.topic, item.partition))}@{item.offset}")}
    for column in COLUMNS[RESULTS]:
        value = found[column.name]
        if value is None:
            continue
        if column.kind == "time":
            value = format_time(value)
        elif column.kind == "tags":
            value = orjson.dumps(dict(value)).decode()
        elif column.kind == "money":
            value = float(value)  # a sheet knows no other numbers
        if isinstance(value, str) and len(value) > LONGEST:
            raise NoRow(f"{column.name}: {len(value)} characters, and a cell takes {LONGEST}")
        cells[column.name] = _cell(value)
    return cells


def _cell(value: str | float) -> dict[str, Any]:
    kind = "stringValue" if isinstance(value, str) else "numberValue"
    return {"userEnteredValue": {kind: value}}
