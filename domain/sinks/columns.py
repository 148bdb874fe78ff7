"""Messages as rows of a table: which columns, of which kind, from where in the message. Pure.

The columns are those of ClickHouse, with `subject`, `metadata` and `output` of a result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import orjson

from topics.base import parse_time
from topics.codec import is_tenant_name
from topics.table import EVENTS, RESULTS, USAGE

Kind = Literal["text", "integer", "money", "time", "flag", "json", "tags"]
TABLES = {RESULTS: "results", USAGE: "calls", EVENTS: "events"}
"""Topic -> the table its rows belong to."""
_PLACES = 18
_LARGEST = Decimal(10) ** 20
_INT64 = 2**63


@dataclass(frozen=True, slots=True)
class Column:
    """`path` leads to the value inside of the message."""

    name: str
    kind: Kind
    path: tuple[str, ...]
    needed: bool = False


def _column(text: str, kind: Kind) -> Column:
    """`name`, `name!` where it is needed, `name=a.b` where it stands elsewhere."""
    name, _, path = text.rstrip("!").partition("=")
    return Column(name, kind, tuple((path or name).split(".")), text.endswith("!"))


def _columns(spec: Mapping[str, str]) -> tuple[Column, ...]:
    kinds: Any = spec
    return tuple(_column(text, kind) for kind, texts in kinds.items() for text in texts.split())


COLUMNS: dict[str, tuple[Column, ...]] = {
    RESULTS: _columns(
        {
            "text": "tenant! id! status! error_code=error.code provider model cached template=template.name api_key_id "
            "batch_id subject",
            "integer": "run! template_version=template.version input_tokens=usage.input_tokens "
            "output_tokens=usage.output_tokens cached_input_tokens=usage.cached_input_tokens "
            "reasoning_tokens=usage.reasoning_tokens attempts=usage.attempts queued_ms=timings.queued_ms "
            "provider_ms=timings.provider_ms total_ms=timings.total_ms",
            "money": "cost_usd=usage.cost_usd!",
            "time": "submitted_at completed_at!",
            "tags": "tags",
            "json": "metadata output",
        }
    ),
    USAGE: _columns(
        {
            "text": "tenant! id! api_key_id provider! model! template=template.name outcome! price_version "
            "provider_request_id",
            "integer": "run! attempt! template_version=template.version input_tokens output_tokens cached_input_tokens "
            "reasoning_tokens latency_ms",
            "money": "cost_usd!",
            "time": "at!",
            "flag": "repaired",
            "tags": "tags",
        }
    ),
    EVENTS: _columns({"text": "tenant! event_id! type! id", "integer": "run", "time": "at!", "json": "data"}),
}
HAPPENED = {RESULTS: "completed_at", USAGE: "at", EVENTS: "at"}
"""The column of the time that a row belongs to."""


class NoRow(Exception):
    """The value is no message of its topic; says why."""


def row(topic: str, value: bytes) -> dict[str, Any]:
    """The columns of `topic` from a value on it, absent ones as None. Raises NoRow."""
    try:
        fields = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise NoRow(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise NoRow("not a JSON object")
    found = {column.name: _value(column, fields) for column in COLUMNS[topic]}
    if not is_tenant_name(found["tenant"]):
        raise NoRow("tenant: is no name of a tenant")
    return found


def _value(column: Column, fields: Any) -> Any:
    for step in column.path:
        fields = fields.get(step) if type(fields) is dict else None
    if fields is None:
        if column.needed:
            raise NoRow(f"{column.name}: is missing")
        return None
    read = _READ[column.kind](fields)
    if read is None:
        raise NoRow(f"{column.name}: is no {column.kind}")
    return read


def _text(value: Any) -> str | None:
    return value if type(value) is str else None


def _integer(value: Any) -> int | None:
    return value if type(value) is int and -_INT64 <= value < _INT64 else None


def _money(value: Any) -> Decimal | None:
    """With as many decimal places as a column has."""
    if type(value) is not str:
        return None
    try:
        amount = Decimal(value)
        return round(amount, _PLACES) if abs(amount) < _LARGEST else None
    except InvalidOperation:
        return None


def _time(value: Any) -> datetime | None:
    try:
        at = parse_time(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return at if 1970 <= at.year <= 2200 else None


def _flag(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _tags(value: Any) -> list[tuple[str, str]] | None:
    if type(value) is not dict or not all(type(text) is str for text in value.values()):
        return None
    return sorted(value.items())


_READ = {
    "text": _text, "integer": _integer, "money": _money, "time": _time, "flag": _flag, "json": _json, "tags": _tags,
}  # fmt: skip
