"""Record headers: CloudEvents 1.0 in binary mode (its Kafka protocol binding), W3C trace context, and our own.

Everything here derives from the row, never from who emits it or when: a record produced twice is the same bytes.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

Headers = list[tuple[str, bytes]]

TRACEPARENT = "traceparent"
RUN = "sp-run"
EPOCH = "sp-epoch"
MIN_READER = "sp-min-reader"
REPLY_TO = "sp-reply-to"
API_KEY = "sp-api-key"
STREAMS = "sp-streams"
CUT_IS_ANSWER = "sp-cut-is-answer"
CALLBACK_URL = "sp-callback-url"
"""On a result: where its request wants it sent."""
MAX_CARRIED_BYTES = 64 * 1024
"""Names and values of the headers that one request may pass on to its result."""

_RESERVED = frozenset({"content-type", TRACEPARENT})
_RESERVED_PREFIXES = ("ce_", "sp-")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Envelope:
    """The headers of one kind of message; what never changes is built once."""

    def __init__(self, kind: str) -> None:
        self.type = f"structured-prompt.{kind}.v1"
        self._constant: tuple[tuple[str, bytes], ...] = (
            ("ce_specversion", b"1.0"),
            ("ce_type", self.type.encode()),
            ("ce_source", b"/structured-prompt"),
            ("content-type", b"application/json"),
        )

    def headers(
        self, id: str, time: str, traceparent: str | None = None, more: Iterable[tuple[str, bytes]] = ()
    ) -> Headers:
        """`id` names the row (`ce_id`), `time` is RFC 3339 text (`ce_time`); `more` comes last."""
        built = [*self._constant, ("ce_id", id.encode()), ("ce_time", time.encode()), *more]
        if traceparent:
            built.append((TRACEPARENT, traceparent.encode()))
        return built


REQUEST = Envelope("request")
CALL = Envelope("call")
RESULT = Envelope("result")
USAGE = Envelope("usage")
EVENT = Envelope("event")
DEAD_LETTER = Envelope("dead-letter")
CONTROL = Envelope("control")


def request_id(tenant: str, id: str) -> str:
    """`ce_id` of a PromptRequest."""
    return f"{tenant}/{id}"


def run_id(tenant: str, id: str, run: int) -> str:
    """`ce_id` of a PromptCall and of a PromptResult."""
    return f"{tenant}/{id}/{run}"


def attempt_id(tenant: str, id: str, run: int, attempt: int) -> str:
    """`ce_id` of a UsageRecord."""
    return f"{tenant}/{id}/{run}/{attempt}"


def source_id(topic: str, partition: int, offset: int) -> str:
    """`ce_id` of a DeadLetter: the record it was."""
    return f"{topic}/{partition}/{offset}"


def result_headers(result: bytes, traceparent: str | None = None, more: Iterable[tuple[str, bytes]] = ()) -> Headers:
    """The headers of a stored PromptResult, from its own bytes."""
    row = orjson.loads(result)
    return RESULT.headers(run_id(row["tenant"], row["id"], row["run"]), row["completed_at"], traceparent, more)


def usage_headers(record: bytes, traceparent: str | None = None) -> Headers:
    """The headers of a stored UsageRecord, from its own bytes."""
    row = orjson.loads(record)
    return USAGE.headers(attempt_id(row["tenant"], row["id"], row["run"], row["attempt"]), row["at"], traceparent)


def call_headers(run_id: str, run: int, epoch: int, time: str, min_reader: int = 1) -> Headers:
    """The headers of a PromptCall: run and epoch travel here, so that the ledger stores the same bytes for all."""
    own = ((RUN, b"%d" % run), (EPOCH, b"%d" % epoch), (MIN_READER, b"%d" % min_reader))
    return CALL.headers(run_id, time, None, own)


def run_of(headers: Mapping[str, bytes]) -> int:
    """The run of a PromptCall; 1 when the header is absent. Raises ValueError when it is not a number."""
    return int(headers.get(RUN, b"1"))


def epoch_of(headers: Mapping[str, bytes]) -> int | None:
    """The epoch under which a PromptCall was produced; None of one without the header. Raises ValueError."""
    value = headers.get(EPOCH)
    return None if value is None else int(value)


def min_reader_of(headers: Mapping[str, bytes]) -> int:
    """The oldest version that may read a PromptCall (rule S7); 1 when absent. Raises ValueError."""
    return int(headers.get(MIN_READER, b"1"))


def text_of(headers: Mapping[str, bytes], name: str) -> str | None:
    """A header of ours as text, None when it is absent or not ASCII."""
    value = headers.get(name)
    return value.decode("ascii") if value is not None and value.isascii() else None


def carried(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, str]]:
    """The request's headers that its result repeats, values as latin-1 text (every byte survives), null as empty.

    All but `ce_*`, `content-type`, `traceparent` and `sp-*`. Raises ValueError above 64 KiB.
    """
    kept = [(name, (value or b"").decode("latin-1")) for name, value in headers if not _reserved(name)]
    if kept and sum(len(name) + len(value) for name, value in kept) > MAX_CARRIED_BYTES:
        raise ValueError(f"headers of more than {MAX_CARRIED_BYTES} bytes cannot be passed on to the result")
    return kept


def restored(carried_headers: Sequence[Sequence[str]]) -> Headers:
    """The inverse of `carried`."""
    return [(name, value.encode("latin-1")) for name, value in carried_headers]


@dataclass(frozen=True, slots=True)
class TraceContext:
    """W3C trace context; `flags` bit 0 means sampled."""

    trace_id: str
    span_id: str
    flags: int = 1

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags:02x}"


def parse_traceparent(value: Any) -> TraceContext | None:
    """The context in a `traceparent` (text or bytes), None when it is none (https://www.w3.org/TR/trace-context/)."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    match = _TRACEPARENT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or (version == "00" and rest) or trace_id == "0" * 32 or span_id == "0" * 16:
        return None
    return TraceContext(trace_id, span_id, int(flags, 16))


def _reserved(name: str) -> bool:
    lower = name.lower()
    return lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)
