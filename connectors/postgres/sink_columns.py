"""Whether the tables of the PostgreSQL sink still take whatever its statements fill in. No I/O."""

import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS structured_prompt\.(\w+)\n\((.*?)\n\)", re.DOTALL)
_COLUMN = re.compile(r"^    ([a-z_]+) (\w+)", re.MULTILINE)
_TYPE = re.compile(r"([a-z ]+?)(?:\((\d+)(?:,(-?\d+))?\))?( with(?:out)? time zone)?")
_TEXT = 255
"""Characters of the longest text of ours that is not JSON."""
_DIGITS = {"integer": (10, 0), "bigint": (19, 0), "numeric": (20, 18)}
"""Before the point and behind it."""
_MILLISECONDS = 3
_WIDE = {
    "text": ("text", "citext"),
    "integer": ("integer", "bigint", "double precision"),
    "bigint": ("bigint",),
    "numeric": (),
    "boolean": ("boolean",),
    "json": ("json", "jsonb", "text", "character varying"),
    "timestamptz": (),
}
"""Declared -> types that take all of its values, beside those that say how much they take."""


class Found(NamedTuple):
    """A column that there is. `needed`: it must not be null, and nothing is there to be put in its place."""

    table: str
    name: str
    type: str
    needed: bool


def schema() -> str:
    return (files("connectors.postgres") / "sink_schema.sql").read_text(encoding="utf-8")


def drifted(columns: Iterable[Found]) -> str | None:
    """What is wrong with them, with the remedy; None where no value is lost and no row refused for them."""
    declared = _declared()
    columns = list(columns)
    needed = [f"{one.table}.{one.name}" for one in columns if one.needed and (one.table, one.name) not in declared]
    if needed:
        return (
            f"has columns that must not be null and no record has: {', '.join(needed)}; "
            "give them a default, or let them be null (docs/sinks.md)"
        )
    less = [(one, declared[one.table, one.name]) for one in columns if (one.table, one.name) in declared]
    less = [(one, wanted) for one, wanted in less if narrower(wanted, one.type)]
    if not less:
        return None
    named = ", ".join(f"{one.table}.{one.name} ({one.type}, not {wanted})" for one, wanted in less)
    mend = "; ".join(
        f"ALTER TABLE structured_prompt.{one.table} ALTER COLUMN {one.name} TYPE {wanted}" for one, wanted in less
    )
    return f"would lose values of {named}; {mend} (docs/sinks.md)"


def narrower(declared: str, type: str) -> bool:
    """Whether a column of `type`, as format_type names it, does not take all values of a declared one."""
    found = _TYPE.fullmatch(type)
    if found is None:
        return True
    name, size, scale = found[1], found[2], int(found[3] or 0)
    if name in _WIDE[declared] and size is None:
        return False
    if name == "numeric" and declared in _DIGITS:
        before, behind = _DIGITS[declared]
        return size is not None and (int(size) - scale < before or scale < behind)
    if name == "character varying" and declared == "text":
        return size is not None and int(size) < _TEXT
    # without a zone it is the time in UTC: the session's zone
    return not (name == "timestamp" and declared == "timestamptz" and int(size or _MILLISECONDS) >= _MILLISECONDS)


@cache
def _declared() -> dict[tuple[str, str], str]:
    return {
        (table, name): type for table, columns in _TABLE.findall(schema()) for name, type in _COLUMN.findall(columns)
    }
