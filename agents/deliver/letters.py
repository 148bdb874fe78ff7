"""prompt.dead-letters into the store they are listed and redriven from."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from domain.letters.model import Letter, letter_id
from domain.ports import Item, Letters, Refused
from topics.base import parse_time
from topics.table import DEAD_LETTERS

UNREADABLE = "unreadable"
MAX_TEXT = 2_000


class LetterSink:
    """Implements domain.ports.Sink. Refuses nothing: a dead letter of a dead letter would never end."""

    topics: tuple[str, ...] = (DEAD_LETTERS,)

    def __init__(self, letters: Letters, prefix: str = "") -> None:
        self._letters = letters
        self._prefix = prefix

    async def open(self) -> None:
        return

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        await self._letters.store([self._letter(item) for item in batch])
        return []

    async def close(self) -> None:
        return

    def _letter(self, item: Item) -> Letter:
        fields = _fields(item)
        return Letter(
            letter=letter_id(fields),
            tenant=_text(fields, "tenant", 64),
            id=_text(fields, "id", 255),
            run=_number(fields, "run"),
            code=_text(fields, "code", 64) or UNREADABLE,
            stage=_text(fields, "stage", 64) or "unknown",
            reason=_text(fields, "reason", MAX_TEXT) or "",
            topic=(_text(fields, "topic", 255) or item.topic).removeprefix(self._prefix),
            attempts=_number(fields, "attempts") or 0,
            size=_number(fields, "size") or 0,
            first_seen=_time(fields, "first_seen", item.timestamp),
            last_seen=_time(fields, "last_seen", item.timestamp),
            body=item.value,
        )


def _fields(item: Item) -> dict[str, Any]:
    """A foreign record on the topic is told apart by its place."""
    try:
        fields = orjson.loads(item.value)
    except orjson.JSONDecodeError:
        fields = None
    if isinstance(fields, dict):
        return fields
    place = {"topic": item.topic, "partition": item.partition, "offset": item.offset}
    return {**place, "stage": "unknown", "reason": "not a dead letter of ours"}


def _text(fields: dict[str, Any], name: str, longest: int) -> str | None:
    """Without what a database refuses: NUL, and lone surrogates, which JSON of others may hold."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        return None
    return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()[:longest]


def _number(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None


def _time(fields: dict[str, Any], name: str, otherwise: datetime) -> datetime:
    try:
        at = parse_time(fields.get(name) or "")
    except (ValueError, TypeError, OverflowError):
        return otherwise
    return at if 1970 <= at.year <= 2200 else otherwise.astimezone(UTC)
