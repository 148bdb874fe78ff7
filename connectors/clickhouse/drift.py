"""Whether ClickHouse's tables still take whatever their mapping views fill in."""

import re
from importlib.resources import files
from typing import Any

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.errors import ServerTrouble

_QUERIES = files("connectors.clickhouse").joinpath("queries")
_SHAPE = _QUERIES.joinpath("shape.sql").read_text(encoding="utf-8")
_COLUMNS = _QUERIES.joinpath("columns.sql").read_text(encoding="utf-8")
_TYPE = re.compile(
    r"(?:LowCardinality\(|Nullable\()*(UInt|Int|Float|Decimal|DateTime|Date)(\d*)(?:\((\d+)(?:, (\d+))?.*)?"
)
_DIGITS_A_BIT = 0.30103
_FLOAT_BITS = {"32": 24, "64": 53}
_NONE_OF_A_DAY = -5


class Drift:
    """Asked before the first batch, and after each: a batch is whole when the tables were right once it was stored."""

    def __init__(self, clickhouse: ClickHouse) -> None:
        self._clickhouse = clickhouse
        self._shape: str | None = None

    @property
    def known(self) -> bool:
        """Whether the tables were right when they were last looked at."""
        return self._shape is not None

    def forget(self) -> None:
        """Look at every column the next time."""
        self._shape = None

    async def check(self) -> None:
        """Raises ServerTrouble where a value would be lost or made less of, with the statements that mend it."""
        parameters = {"database": self._clickhouse.database}
        shape = str(await self._clickhouse.select(_SHAPE, parameters))
        if shape == self._shape:
            return
        self.forget()
        wrong = [mend for row in await self._clickhouse.select(_COLUMNS, parameters) if (mend := _mend(row))]
        if wrong:
            raise ServerTrouble(
                f"ClickHouse's tables would lose values of {', '.join(name for name, _ in wrong)}; "
                f"{'; '.join(statement for _, statement in wrong)} (docs/sinks.md)"
            )
        self._shape = shape


def _mend(row: dict[str, Any]) -> tuple[str, str] | None:
    """(the column, the statement that puts it right); None where nothing is lost."""
    table, name, filled, kept = row["table"], row["name"], row["filled"], row["kept"]
    if not kept:
        return f"{table}.{name} (missing)", f"ALTER TABLE {table} ADD COLUMN {name} {filled}"
    if loses(filled, kept):
        return f"{table}.{name} ({kept}, not {filled})", f"ALTER TABLE {table} MODIFY COLUMN {name} {filled}"
    return None


def loses(filled: str, kept: str) -> bool:
    """Whether a column of the type `kept` makes less of values of the type `filled` without a word.

    Of numbers and times, which are rounded, cut or wrapped. Another type fails by itself where it does not fit.
    """
    needed, room = _room(filled), _room(kept)
    if needed is None or room is None or len(needed) != len(room):
        return False
    return any(has < needs for needs, has in zip(needed, room, strict=True))


def _room(type: str) -> tuple[float, ...] | None:
    """(negative ones, digits before the point, digits behind it) of a number, (digits of a second,) of a time."""
    found = _TYPE.match(type)
    if found is None:
        return None
    name, bits = found[1], found[2]
    first, second = int(found[3] or 0), int(found[4] or 0)
    match name:
        case "UInt" | "Int":
            signed = name == "Int"
            return float(signed), (int(bits) - signed) * _DIGITS_A_BIT, 0
        case "Float":
            return 1, _FLOAT_BITS[bits] * _DIGITS_A_BIT, 0
        case "Decimal":
            return 1, first - second, second
        case "DateTime":
            return (first,)
        case _:
            return (_NONE_OF_A_DAY,)
