"""Log lines: one JSON object a line for machines, or text for people. Never a prompt, an answer or a key.

Both structlog and the standard library's loggers (Faust, aiokafka, granian) end in the same lines.
"""

import logging
import re
import sys
from typing import Any, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from connectors.telemetry.repeats import Repeats

# these say too much below their level; at DEBUG of ours they stay there
QUIET = {
    "aiokafka": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "LiteLLM": logging.WARNING,
    "opentelemetry": logging.WARNING,
    "urllib3": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "faust": logging.INFO,
    "mode": logging.INFO,
}
HIDDEN = "[hidden]"
# fields that carry a customer's text or a secret, whoever logs them
SECRET_FIELDS = frozenset({
    "api_key", "authorization", "body", "completion", "content", "cookie", "idempotency_key", "input", "key_pepper",
    "messages", "output", "password", "pepper", "prompt", "prompts", "response", "result", "secret", "text", "token",
    "value", "variables",
})  # fmt: skip
# a key of ours, a provider's key, a bearer token, the password in a URL
_SECRETS = re.compile(
    r"sp_(?:live|test)_[A-Za-z0-9]+|\bsk-[A-Za-z0-9_-]{8,}|(?<=[Bb]earer )[A-Za-z0-9._~+/=-]+|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
# what the standard library's `extra=` may bring in; the rest of a record is of no use
EXTRA = frozenset({
    "attempt", "attempts", "code", "lane", "left_out", "model", "offset", "partition", "provider", "reason",
    "request_id", "run", "seconds", "sink", "stage", "status", "tenant", "topic", "trace_id", "worker",
})  # fmt: skip


def set_up(
    *,
    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO",
    format: Literal["json", "text"] = "json",
    stage: str = "",
    stream: TextIO | None = None,
) -> None:
    """Send all log lines of this process to `stream` (standard error when None), each with its `stage`."""
    stream = stream or sys.stderr
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _Stage(stage),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(EXTRA), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(format, stream)],
        )
    )
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name, floor in QUIET.items():
        logging.getLogger(name).setLevel(max(floor, root.level))


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Hide fields that carry secrets or customers' text, and secrets inside other texts."""
    return {name: HIDDEN if name in SECRET_FIELDS else _clean(value) for name, value in event.items()}


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRETS.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {name: HIDDEN if name in SECRET_FIELDS else _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list | tuple) else value


def _rendering(format: str, stream: TextIO) -> list[Processor]:
    # tracebacks are plain text before they are cleaned: the pretty ones of the console show the values of variables
    first: list[Processor] = [structlog.processors.format_exc_info, redact]
    if format == "text":
        return [*first, structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="at")]
    return [*first, _as_json]


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    return orjson.dumps(event, default=repr).decode()


class _Stage:
    def __init__(self, stage: str) -> None:
        self._stage = stage

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        if self._stage:
            event.setdefault("stage", self._stage)
        return event
