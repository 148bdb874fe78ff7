"""What every message has in common: closed models, UTC times in milliseconds, money as decimal strings."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
)


class Message(BaseModel):
    """A value on a topic. Unknown fields are refused: a typo must not cost money."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="null", protected_namespaces=())


def empty_object(**limits: Any) -> Any:
    """A field that is `{}` where it is absent: a plain `{}` as default is copied deeply, 1 µs each time."""
    return Field(default_factory=dict, json_schema_extra={"default": {}}, **limits)


def format_time(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, e.g. `2026-01-01T00:00:00.000Z`."""
    in_utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return in_utc.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_time(text: str) -> datetime:
    """The inverse of `format_time`; accepts any RFC 3339 offset. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"time {text!r} has no offset; write it in UTC, as 2026-01-01T00:00:00.000Z")
    return at.astimezone(UTC)


def format_money(amount: Decimal) -> str:
    """US dollars as a plain decimal string: never an exponent, no trailing zeros (`0.0000094`, `0`)."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _only_text(value: Any) -> Any:
    # pydantic would take a number, or its text, as a unix time; the contract says RFC 3339
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise ValueError("must be an RFC 3339 time such as 2026-01-01T00:00:00.000Z")


def _in_utc(at: datetime) -> datetime:
    # the ends of the calendar overflow as soon as anybody adds a day or changes the zone
    if not 1900 <= at.year <= 2200:
        raise ValueError("must lie between the years 1900 and 2200")
    return at.astimezone(UTC)


UtcTime = Annotated[
    AwareDatetime,
    BeforeValidator(_only_text),
    AfterValidator(_in_utc),
    PlainSerializer(format_time, return_type=str),
]
Money = Annotated[Decimal, PlainSerializer(format_money, return_type=str)]
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:@=+,~-]{1,255}$")]
TenantName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
