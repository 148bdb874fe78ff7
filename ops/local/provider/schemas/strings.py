"""Strings that satisfy `format`, `pattern`, `minLength` and `maxLength`, starting from a meaningful one."""

import hashlib
import re
import uuid
from collections.abc import Callable
from typing import Any

from ops.local.provider.schemas.patterns import sample

_PADDING = " as stated in the text"


def fit(wanted: str, schema: dict[str, Any], salt: int) -> str:
    """`wanted` where it satisfies the schema's plain string keywords, else the nearest string that does."""
    least, most = int(schema.get("minLength", 0)), schema.get("maxLength")
    if isinstance(pattern := schema.get("pattern"), str):
        matching = sample(pattern, least, salt)
        return matching if matching is not None else wanted
    name = schema.get("format")
    if isinstance(name, str) and (made := formatted(name, wanted, salt)) is not None:
        return made
    if salt:
        wanted = f"{salt} {wanted}" if most is None or most > 8 else str(salt)
    if len(wanted) < least:
        wanted = (wanted + _PADDING * (1 + least // len(_PADDING)))[: max(least, len(wanted))]
    return wanted if most is None else _cut(wanted, int(most), least)


def _cut(text: str, most: int, least: int) -> str:
    if len(text) <= most:
        return text
    at_word = text[: most + 1].rpartition(" ")[0]
    return at_word if len(at_word) >= max(least, most // 2, 1) else text[:most]


def formatted(name: str, wanted: str, salt: int) -> str | None:
    """A value of the format `name` (JSON Schema 2020-12 validation, section 7.3); None for an unknown format."""
    if name not in _FORMATS:
        return None
    number = int.from_bytes(hashlib.blake2b(f"{wanted}{salt}".encode(), digest_size=4).digest(), "big")
    return wanted if not salt and _is_already(name, wanted) else _FORMATS[name](number)


def _day(number: int) -> str:
    return f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}"


def _clock(number: int) -> str:
    return f"{number % 24:02d}:{number % 60:02d}:00Z"


def _is_already(name: str, text: str) -> bool:
    if name in ("email", "idn-email"):
        return re.fullmatch(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", text, re.ASCII) is not None
    if name in ("uri", "iri"):
        return re.fullmatch(r"https?://[\w.-]+(/[\w./-]*)?", text, re.ASCII) is not None
    return name == "date" and re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])", text, re.ASCII) is not None


_FORMATS: dict[str, Callable[[int], str]] = {
    "date": _day,
    "time": _clock,
    "date-time": lambda number: f"{_day(number)}T{_clock(number)}",
    "duration": lambda number: f"P{number % 30 + 1}D",
    **dict.fromkeys(("email", "idn-email"), lambda number: f"customer{number % 10_000}@example.com"),
    **dict.fromkeys(("hostname", "idn-hostname"), lambda number: f"host{number % 10_000}.example.com"),
    "ipv4": lambda number: f"192.0.2.{number % 254 + 1}",
    "ipv6": lambda number: f"2001:db8::{number % 65_535 + 1:x}",
    **dict.fromkeys(("uri", "iri"), lambda number: f"https://example.com/{number % 10_000}"),
    **dict.fromkeys(
        ("uri-reference", "iri-reference", "uri-template", "json-pointer"), lambda number: f"/items/{number % 10_000}"
    ),
    "uuid": lambda number: str(uuid.UUID(int=number, version=4)),
    "relative-json-pointer": lambda number: str(number % 10),
    "regex": lambda number: f"a{{{number % 9 + 1}}}",
}
