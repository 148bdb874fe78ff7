"""Rows of a file, and the requests they become. JSONL, a JSON array or CSV, recognised by their first character."""

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import uuid_utils

from topics.codec import MAX_BYTES, Read, Unreadable, check_request, encode, read_object
from topics.request import PromptRequest

_PROMPTS = ("prompt", "messages", "template")
_COLUMNS = frozenset({"id", "tenant", "model", "lane", "subject", "deadline", "max_cost_usd", "cache", "callback_url"})
_GROUPS = ("variables", "tags", "metadata")


@dataclass(frozen=True, slots=True)
class Row:
    """A row at a line of the file (from 1); `problem` says why it is none."""

    line: int
    fields: dict[str, Any]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a row gets that does not say it itself."""

    tenant: str | None = None
    template: str | None = None
    model: str | None = None
    lane: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is no request."""

    line: int
    reason: str


def rows(reader: io.BufferedReader, is_csv: bool) -> Iterator[Row]:
    """The rows of a file that is read once, from its start. Raises ValueError when an array or CSV cannot be read."""
    first = reader.peek(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if not is_csv and first == b"[":
        yield from _array(reader.read())
    elif not is_csv and first in (b"{", b""):
        yield from _lines(reader)
    else:
        yield from _csv(reader)


def request(row: Row, defaults: Defaults) -> tuple[Read, bytes] | Refusal:
    """The request of a row and the bytes to produce, or why there is none."""
    if row.problem is not None:
        return Refusal(row.line, row.problem)
    fields = _completed(row.fields, defaults)
    raw = encode(fields)
    try:
        if len(raw) > MAX_BYTES:
            read_object(raw)
        return check_request(fields, raw), raw
    except Unreadable as error:
        return Refusal(row.line, error.reason)


def _completed(given: dict[str, Any], defaults: Defaults) -> dict[str, Any]:
    fields = dict(given)
    if defaults.template is not None and not any(fields.get(name) is not None for name in _PROMPTS):
        variables = fields.pop("variables", None)
        if not isinstance(variables, dict):
            variables = {name: fields.pop(name) for name in list(fields) if name not in PromptRequest.model_fields}
        fields["template"] = {"name": defaults.template, "variables": variables}
    for name in ("tenant", "model", "lane"):
        value = getattr(defaults, name)
        if value is not None and fields.get(name) is None:
            fields[name] = value
    if fields.get("id") is None:
        fields["id"] = str(uuid_utils.uuid7())
    return fields


def _lines(file: Iterable[bytes]) -> Iterator[Row]:
    for number, line in enumerate(file, 1):
        text = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not text.strip():
            continue
        try:
            yield Row(number, read_object(text.strip()))
        except Unreadable as error:
            yield Row(number, {}, error.reason)


def _array(raw: bytes) -> Iterator[Row]:
    values = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    for number, value in enumerate(values, 1):
        yield Row(number, value) if isinstance(value, dict) else Row(number, {}, "not a JSON object")


def _csv(file: io.BufferedReader) -> Iterator[Row]:
    reader = csv.DictReader(io.TextIOWrapper(file, "utf-8-sig", newline=""), strict=True)
    try:
        for cells in reader:
            yield _cells(reader.line_num, cells)
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from error


def _cells(line: int, cells: dict[str | None, Any]) -> Row:
    """Empty cells are absent. `tags.x`, `metadata.x` and `variables.x` go where they say; with `prompt`, so must all
    others; without it, other columns are variables of the template."""
    if None in cells or None in cells.values():
        return Row(line, {}, "has another number of cells than the header")
    fields: dict[str, Any] = {}
    has_prompt = "prompt" in cells
    for name, text in ((str(name), text) for name, text in cells.items() if text != ""):
        group, dot, rest = name.partition(".")
        if dot and group in _GROUPS:
            fields.setdefault(group, {})[rest] = text
        elif has_prompt or name in _COLUMNS:
            fields[name] = text
        else:
            fields.setdefault("variables", {})[name] = text
    if not has_prompt and "variables" not in fields:
        return Row(line, {}, "has neither a column prompt nor a variable")
    return Row(line, fields)
