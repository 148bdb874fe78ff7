"""How commands speak: tables for people, JSON for scripts, errors on standard error without a traceback."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

WIDE = 160
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]"
)  # controls but LF and tab, bidi overrides


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, default=_text))


def print_error(message: str) -> None:
    print(f"error: {_harmless(message)}", file=sys.stderr)


def print_text(text: str) -> None:
    """An answer: to a pipe or a file as it is, to a terminal without what would steer it."""
    print(_harmless(text) if sys.stdout.isatty() else text)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """A table as wide as the terminal; None is shown as a dash. The first column is copied, so it is not folded.

    Cells are what somebody sent: brackets in them are no markup, and what would steer a terminal is spelt out.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, header_style="bold", box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    for row in rows:
        table.add_row(*(Text("–" if cell is None else _harmless(_text(cell))) for cell in row))
    console = Console()
    # a pipe or a file has no width of its own: 80 columns would fold every cell
    Console(width=None if console.is_terminal else WIDE).print(table)


def print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """Everything of each row for scripts, these columns of it for people."""
    if as_json:
        print_json(rows)
    else:
        print_table(columns, [[row[name] for name in columns] for row in rows])


def _text(value: object) -> str:
    """Times as everywhere else in the product: RFC 3339, UTC, milliseconds."""
    from topics.base import format_time

    return format_time(value) if isinstance(value, datetime) else str(value)


def _harmless(text: str) -> str:
    """What steers a terminal as its escape; lines stay lines."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)
