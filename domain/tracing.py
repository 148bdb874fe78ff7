"""Traces through HTTP and Kafka headers: W3C Trace Context, `00-<trace id>-<span id>-<flags>`. No I/O."""

import random
import re
from typing import Protocol, Self

_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Span(Protocol):
    """A timed piece of work. `traceparent` is what its messages carry on. As a context manager it ends itself."""

    @property
    def traceparent(self) -> str: ...

    def end(self, error: str = "") -> None:
        """`error` says why the work failed, never with its content. A second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None: ...


class Tracing(Protocol):
    """Starts spans. `parent` is a received traceparent; what is missing or malformed starts a new trace."""

    def start(self, name: str, parent: str | None = None, /, **attributes: str | int) -> Span: ...

    def close(self) -> None:
        """Send what is left."""
        ...


def valid_traceparent(text: str | None) -> bool:
    return text is not None and _TRACEPARENT.fullmatch(text) is not None


def new_traceparent() -> str:
    """A new trace, not sampled: nothing records it, but its id joins the log lines and headers of one request."""
    # ids have to be unlike each other, not hard to guess
    trace, span = random.getrandbits(128) or 1, random.getrandbits(64) or 1
    return f"00-{trace:032x}-{span:016x}-00"


def trace_id(traceparent: str) -> str:
    """The 32 hexadecimal digits that log lines show."""
    return traceparent[3:35]


class OffSpan:
    """Hands its parent on unchanged, as a participant that records nothing does."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def end(self, error: str = "") -> None:
        """Nothing was recorded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Nothing was recorded."""


class NoTracing:
    """Implements Tracing when it is off: headers still flow."""

    def start(self, _name: str, parent: str | None = None, /, **_attributes: str | int) -> OffSpan:
        return OffSpan(parent if parent is not None and _TRACEPARENT.fullmatch(parent) else new_traceparent())

    def close(self) -> None:
        """Nothing is open."""
