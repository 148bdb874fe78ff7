"""Bytes <-> messages. Reading trusts nothing: whatever the bytes are, the answer is a request or `Unreadable`.

A JSON object with a key twice keeps the last one, as JSON parsers do; integers beyond 64 bit become floats.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import islice
from typing import Any

import orjson
from pydantic import ValidationError

from topics import peek
from topics.base import Message, format_money, format_time
from topics.packed import packed
from topics.request import PromptRequest

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_PROBLEMS = 20
_MANY_PROBLEMS = 1_000
_HASH_VERSION = b"\x01"
_NOT_HASHED = frozenset({"rerun", "submitted_at", "on_limit"})
_ID = re.compile(r"[A-Za-z0-9._:@=+,~-]{1,255}")
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Tombstone(Exception):
    """A record without a value: to be ignored and counted."""


class Unreadable(Exception):
    """These bytes are not a request that can be worked on.

    code:      unreadable (not a JSON object) | invalid_request (a JSON object that breaks the contract) | too_large
    problems:  at most 20 pairs of JSON pointer and message
    id, tenant: where they could be read from the bytes and have the right form, else None
    raw:       the bytes as they came
    """

    def __init__(
        self, code: str, reason: str, raw: bytes, named: Mapping[str, Any], problems: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.problems = problems or (("", reason),)
        self.raw = raw
        self.id = _matching(_ID, named.get("id"))
        self.tenant = _matching(_TENANT, named.get("tenant"))


@dataclass(frozen=True, slots=True)
class Read:
    """A valid request and the JSON object it was read from (for `body_hash`)."""

    request: PromptRequest
    fields: dict[str, Any]


def read_request(raw: bytes | None) -> Read:
    """The request in a record's value. Raises Tombstone for None, Unreadable for anything else that is not one."""
    if raw is None:
        raise Tombstone
    return check_request(read_object(raw), raw)


def read_object(raw: bytes) -> dict[str, Any]:
    """A JSON object within our limits of size, depth and characters. Raises Unreadable."""
    if len(raw) > MAX_BYTES:
        raise Unreadable("too_large", f"{len(raw)} bytes; a request may have {MAX_BYTES}", raw, peek.named(raw))
    try:
        fields = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Unreadable("unreadable", f"not JSON: {error}"[:300] if raw else "empty", raw, peek.named(raw)) from None
    if type(fields) is not dict:
        raise Unreadable("unreadable", f"a JSON object is needed, this is {_json_type(fields)}", raw, {})
    if raw.count(b"{") + raw.count(b"[") > MAX_DEPTH and _deeper_than(fields, MAX_DEPTH):
        raise Unreadable("invalid_request", f"nested deeper than {MAX_DEPTH} levels", raw, fields)
    if b"\\u0000" in raw:
        _refuse_nul(fields, raw)
    return fields


def check_request(fields: dict[str, Any], raw: bytes) -> Read:
    """The request in `fields`; `raw` is what they were read from. Raises Unreadable with the path of each problem."""
    if len(fields) > _MANY_PROBLEMS:
        raise _invalid(_unknown(fields), len(fields), raw, fields)
    try:
        return Read(PromptRequest.model_validate(fields), fields)
    except ValidationError as error:
        raise _invalid(_problems(error, fields), error.error_count(), raw, fields) from None


def body_hash(fields: Mapping[str, Any]) -> bytes:
    """33 bytes: the hash's version and SHA-256 of the canonical JSON, without `rerun`, `submitted_at` and `on_limit`.

    Those say how to run a request, not what it asks: the same body may come through doors with different defaults.
    Canonical means keys sorted and no spaces. A null is an absent field; a default that is written out is not.
    """
    body = {name: value for name, value in fields.items() if name not in _NOT_HASHED and value is not None}
    return _HASH_VERSION + hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).digest()


def request_hash(digest: bytes) -> str:
    """The text form of `body_hash`, as results carry it: `sha256:` and 64 hexadecimal digits."""
    return "sha256:" + digest[1:].hex()


def encode(message: Message | Mapping[str, Any]) -> bytes:
    """UTF-8 JSON of a message, or of the same fields as a dict (the fast path: no model is built).

    In a dict, Decimal is written as money, datetime as RFC 3339 in UTC with milliseconds.
    Raises TypeError on a value that JSON cannot hold.
    """
    if isinstance(message, Message):
        return message.__pydantic_serializer__.to_json(message)
    return packed(message, _scalar, orjson.OPT_PASSTHROUGH_DATETIME)


def is_tenant_name(text: str) -> bool:
    """Whether a tenant may have this name."""
    return _TENANT.fullmatch(text) is not None


def _scalar(value: Any) -> Any:
    if isinstance(value, Decimal):
        return format_money(value)
    if isinstance(value, datetime):
        return format_time(value)
    if isinstance(value, Message):
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} does not go into JSON")


def _matching(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None


def _json_type(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")


def _deeper_than(fields: dict[str, Any], limit: int) -> bool:
    level: list[Any] = [fields]
    for _ in range(limit):
        children = (c.values() if type(c) is dict else c for c in level)
        level = [v for values in children for v in values if type(v) is dict or type(v) is list]
        if not level:
            return False
    return True


def _refuse_nul(fields: dict[str, Any], raw: bytes) -> None:
    found = [(path, r"contains the character \u0000") for path, text in _texts(fields) if "\0" in text]
    if found:
        reason = rf"{found[0][0]}: the character \u0000 cannot be stored"
        raise Unreadable("invalid_request", reason, raw, fields, tuple(found[:MAX_PROBLEMS]))


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Every string of a JSON value, names of fields too, with its JSON pointer. Without recursion."""
    rest: list[tuple[str, Any]] = [("", value)]
    while rest:
        path, value = rest.pop()
        if type(value) is str:
            yield path, value
        elif type(value) is dict:
            for name, child in value.items():
                below = f"{path}/{_token(name)}"
                yield below, name
                rest.append((below, child))
        elif type(value) is list:
            rest.extend((f"{path}/{i}", child) for i, child in enumerate(value))


def _invalid(problems: tuple[tuple[str, str], ...], count: int, raw: bytes, fields: dict[str, Any]) -> Unreadable:
    listed = "; ".join(f"{path}: {message}" if path else message for path, message in problems[:3])
    more = f"; and {count - 3} more" if len(problems) > 3 else ""
    return Unreadable("invalid_request", listed + more, raw, fields, problems)


def _unknown(fields: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    unknown = (name for name in fields if name not in PromptRequest.model_fields)
    return tuple((f"/{_token(name)}", "unknown field") for name in islice(unknown, MAX_PROBLEMS))


def _problems(error: ValidationError, fields: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    if error.error_count() > _MANY_PROBLEMS:
        # naming each would cost more than the request is worth
        return _unknown(fields) or (("", f"{error.error_count()} fields are wrong or unknown"),)
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return tuple((_pointer(e["loc"], e["type"], fields), _message(e["type"], e["msg"])) for e in found[:MAX_PROBLEMS])


def _message(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "unknown field"
    if kind == "missing":
        return "is required"
    return message.removeprefix("Value error, ")[:300]


def _pointer(location: tuple[int | str, ...], kind: str, fields: Any) -> str:
    """A JSON pointer (RFC 6901); pydantic's names of union branches are left out."""
    path, here = "", fields
    for i, step in enumerate(location):
        known, child = _child(here, step)
        if known or (kind == "missing" and i == len(location) - 1):
            path, here = f"{path}/{_token(str(step))}", child
    return path


def _child(value: Any, step: int | str) -> tuple[bool, Any]:
    if isinstance(value, dict) and step in value:
        return True, value[step]
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return True, value[step]
    return False, None


def _token(name: str) -> str:
    name = name if len(name) <= 64 else name[:63] + "…"
    return name.replace("~", "~0").replace("/", "~1").replace("\0", r"\u0000")
