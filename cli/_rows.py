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
_JSON = ("json", "jsonl", "ndjson")
_SAVE = "save it as UTF-8 (of a spreadsheet: as CSV UTF-8)"
_DELIMITERS = ",;\t"


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


class Broken(ValueError):
    """A file that cannot be read on from `line`."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"the file cannot be read on from here: {reason}")
        self.line = line


def rows(reader: io.BufferedReader, name: str) -> Iterator[Row]:
    """The rows of a file that is read once, from its start. `name` may say what it holds. Raises Broken."""
    start = reader.peek(4096)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Broken(1, f"it is UTF-16; {_SAVE}")
    first, ending = start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1], name.lower().rpartition(".")[2]
    if ending == "csv" or (ending not in _JSON and first not in (b"[", b"{", b"")):
        yield from _csv(reader, start)
    elif first == b"[":
        yield from _array(reader.read())
    else:
        yield from _lines(reader)


def request(row: Row, defaults: Defaults) -> tuple[Read, bytes] | Refusal:
    """The request of a row and the bytes to produce, or why there is none."""
    if row.problem is not None:
        return Refusal(row.line, row.problem)
    fields = _completed(row.fields, defaults)
    variables = fields.get("variables")
    if isinstance(variables, dict) and not any(fields.get(name) is not None for name in _PROMPTS):
        return Refusal(row.line, f"has no prompt: name the template of {', '.join(variables)} with --template")
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
        text = (line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line).strip()
        if not text:
            continue
        if text in (b"{", b"["):
            raise Broken(number, "its JSON is spread over lines; make it an array, or JSONL of an object a line")
        try:
            yield Row(number, read_object(text))
        except Unreadable as error:
            yield Row(number, {}, f"not UTF-8; {_SAVE}" if _is_foreign(text) else error.reason)


def _is_foreign(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return True
    return False


def _array(raw: bytes) -> Iterator[Row]:
    try:
        values = orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Broken(error.lineno, f"not JSON: {error}") from error
    for number, value in enumerate(values, 1):
        yield Row(number, value) if isinstance(value, dict) else Row(number, {}, "not a JSON object")


def _csv(file: io.BufferedReader, start: bytes) -> Iterator[Row]:
    csv.field_size_limit(MAX_BYTES)  # a prompt may be as long as a request
    # bytes that are no text are kept as such: their rows alone are refused
    text = io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
    reader, line = csv.reader(text, delimiter=_delimiter(start.splitlines()[0]) if start else ",", strict=True), 0
    try:
        names = _names(next(reader, []))
        line = reader.line_num
        for cells in reader:
            line = reader.line_num
            if cells:
                yield _cells(line, names, cells)
    except csv.Error as error:
        unclosed = str(error) == "unexpected end of data"
        raise Broken(line + 1, "a quote is opened and never closed" if unclosed else str(error)) from error


def _delimiter(header: bytes) -> str:
    """Spreadsheets of many languages write semicolons."""
    return next((one for one in _DELIMITERS if one.encode() in header), ",")


def _names(header: list[str]) -> list[str]:
    names = [name.strip() for name in header]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise Broken(1, f"two columns have the name {twice[0]}")
    if not _is_text(names):
        raise Broken(1, f"its header is not UTF-8; {_SAVE}")
    return names


def _is_text(cells: list[str]) -> bool:
    """Whether none holds a byte that is no UTF-8."""
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _cells(line: int, names: list[str], cells: list[str]) -> Row:
    """Empty cells are absent. `tags.x`, `metadata.x` and `variables.x` go where they say; with `prompt`, so must all
    others; without it, other columns are variables of the template."""
    if len(cells) != len(names):
        return Row(line, {}, f"has {len(cells)} cells, the header has {len(names)}")
    if not _is_text(cells):
        return Row(line, {}, f"not UTF-8; {_SAVE}")
    fields: dict[str, Any] = {}
    has_prompt = "prompt" in names
    for name, text in ((name, text) for name, text in zip(names, cells, strict=True) if text != ""):
        group, dot, rest = name.partition(".")
        if dot and group in _GROUPS:
            fields.setdefault(group, {})[rest] = text
        elif has_prompt or name in _COLUMNS:
            fields[name] = text
        else:
            fields.setdefault("variables", {})[name] = text
    if not has_prompt and "variables" not in fields:
        return Row(line, {}, "has neither a prompt nor a variable: its cells are empty, or the file has no such column")
    return Row(line, fields)
