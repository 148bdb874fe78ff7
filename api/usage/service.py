"""Reads what one tenant used."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from api.problems import Problem
from api.within import within
from domain.errors import Problem as Reason
from domain.ports import UsageReader
from topics import codec
from topics.base import parse_time

PATIENCE_S = 10.0
_SPAN = re.compile(r"([0-9]{1,6})([smhdw])")
_UNITS = {
    "s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}  # fmt: skip
_LONGEST = timedelta(days=3660)


class Usage:
    """`now` is the clock."""

    def __init__(self, reader: UsageReader, now: Callable[[], datetime]) -> None:
        self._reader = reader
        self._now = now

    async def rows(self, tenant: str, by: str, since: str) -> bytes:
        """The body of the answer. Raises InvalidRequest (unknown dimension), Problem."""
        names = [name for name in (part.strip() for part in by.split(",")) if name]
        start = since_of(since, self._now())
        rows = await within(self._reader.usage(tenant, names, start), PATIENCE_S, "the usage database")
        return codec.encode({"items": [_plain(row) for row in rows], "next_cursor": None})


def since_of(text: str, now: datetime, place: str = "/query/since") -> datetime:
    """A span before `now` or a time. Raises Problem; `place` is where it stands."""
    match = _SPAN.fullmatch(text)
    try:
        start = now - min(int(match[1]) * _UNITS[match[2]], _LONGEST) if match else parse_time(text)
    except (ValueError, OverflowError):
        reason = Reason(place, "give a span such as 24h or 7d, or a time such as 2026-01-01T00:00:00.000Z")
        detail = f"`{place.rpartition('/')[2]}` is neither a span nor a time"
        raise Problem("invalid_request", detail, (reason,)) from None
    return min(max(start, now - _LONGEST), now)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    dates = (name for name, value in row.items() if isinstance(value, date) and not isinstance(value, datetime))
    return {**row, **{name: row[name].isoformat() for name in dates}}
