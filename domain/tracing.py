"""Traces through HTTP and Kafka headers: W3C Trace Context, `00-<trace id>-<span id>-<flags>`. No I/O.

Spans and their attributes are named as OpenTelemetry's semantic conventions say. None holds a prompt, an answer or a
key: nobody who may read traces has to be one who may read those.
"""

import random
import re
from collections.abc import Mapping
from typing import Literal, Protocol, Self

Kind = Literal["internal", "server", "client", "consumer"]
Value = str | int | tuple[str, ...]
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class Span(Protocol):
    """A timed piece of work. `traceparent` is what its messages carry on. As a context manager it ends itself.

    recording: False where nobody will see it: attributes are not worth making then.
    """

    @property
    def traceparent(self) -> str: ...

    @property
    def recording(self) -> bool: ...

    def note(self, attributes: Mapping[str, Value]) -> None: ...

    def end(self, error: str = "") -> None:
        """`error` is the kind of failure (`error.type`), never its content. A second call does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None: ...


class Tracing(Protocol):
    """Starts spans. `parent` is a received traceparent; what is missing or malformed starts a new trace."""

    def start(self, name: str, parent: str | None = None, kind: Kind = "internal", /) -> Span: ...

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


def is_sampled(traceparent: str | None) -> bool:
    """Whether who sent it records the trace, so that a part of it would be seen."""
    return valid_traceparent(traceparent) and traceparent is not None and int(traceparent[-2:], 16) & 1 == 1


def received(topic: str, partition: int, offset: int) -> dict[str, Value]:
    """The attributes of the span of a record's processing."""
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": str(partition),
        "messaging.kafka.offset": offset,
    }


def of_request(tenant: str, id: str, run: int = 0) -> dict[str, Value]:
    """What a trace is looked for by; run 0: it is not known yet."""
    own: dict[str, Value] = {"structured_prompt.tenant": tenant, "structured_prompt.request.id": id}
    return own | {"structured_prompt.run": run} if run else own


def trace_id(traceparent: str) -> str:
    """The 32 hexadecimal digits that log lines show."""
    return traceparent[3:35]


class OffSpan:
    """Hands its parent on unchanged, as a participant that records nothing does."""

    __slots__ = ("traceparent",)
    recording = False

    def __init__(self, traceparent: str) -> None:
        self.traceparent = traceparent

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Nobody looks at them."""

    def end(self, error: str = "") -> None:
        """Nothing was recorded."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Nothing was recorded."""


class NoTracing:
    """Implements Tracing when it is off: headers still flow."""

    def start(self, _name: str, parent: str | None = None, _kind: Kind = "internal", /) -> OffSpan:
        return OffSpan(parent if parent is not None and _TRACEPARENT.fullmatch(parent) else new_traceparent())

    def close(self) -> None:
        """Nothing is open."""
