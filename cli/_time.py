"""Spans of time as people type them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_SPAN = re.compile(r"(\d{1,6})([smhdw])")
Since = Annotated[str, typer.Option("--since", help="How far back: 30m, 24h, 7d, or an RFC 3339 time.")]


def parse_since(text: str) -> datetime:
    """The moment that `24h` ago was, or the time itself. Raises typer.BadParameter."""
    span = _SPAN.fullmatch(text.strip())
    try:
        if span:
            return datetime.now(UTC) - timedelta(**{_UNITS[span[2]]: int(span[1])})
        at = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is no span of time; write 30m, 24h, 7d or 2026-01-01T00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
