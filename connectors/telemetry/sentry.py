"""Faults to Sentry: where they happened and of which kind, never what they were about. Needs the extra `sentry`.

What leaves is a list of what may, not of what may not: the kind of an exception without its message, the lines of code
it went through without the values of variables, the constant text of a log line without what was put into it. None of
the SDK's integrations is on: they would send headers, bodies, arguments and the lines before.
"""

import atexit
import logging
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from domain.errors import MissingExtra

EVERY_S = 60.0
"""One report of a kind in this time: a fault that repeats is one fault."""
CLOSE_S = 2.0
KINDS = 1_000
FRAME = (
    "filename", "abs_path", "function", "module", "lineno", "context_line", "pre_context", "post_context", "in_app",
)  # fmt: skip
EVENT = ("event_id", "timestamp", "level", "logger", "platform", "release", "environment", "server_name", "sdk")
TAGS = frozenset({"code", "lane", "model", "provider", "sink", "stage", "topic", "what"})
"""Fields of a log line that may leave: words of ours, and none of a tenant's."""


def report_faults(dsn: str | None, service: str, version: str) -> None:
    """Report every line of ERROR and above of this process from now on. Raises MissingExtra."""
    if dsn is None:
        return
    try:
        import sentry_sdk
    except ImportError as error:
        raise MissingExtra("SENTRY_DSN", "sentry") from error
    sentry_sdk.init(
        dsn=dsn,
        release=f"structured-prompt@{version}",
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        before_send=scrubbed,
    )
    sentry_sdk.set_tag("service", service)
    logging.getLogger().addHandler(Reporter(service))
    atexit.register(sentry_sdk.get_client().close, timeout=CLOSE_S)


class Reporter(logging.Handler):
    """One event for a kind of fault a minute: of a logger, a text and a kind of exception."""

    def __init__(self, service: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.ERROR)
        self._service = service
        self._clock = clock
        self._told: dict[tuple[str, str, object], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        import sentry_sdk
        from sentry_sdk.utils import event_from_exception

        if record.name.startswith(("sentry_sdk", "urllib3")):
            return  # that it cannot report is nothing to report
        fields = record.msg if isinstance(record.msg, dict) else {}
        text, fault = str(fields.get("event", "") if fields else record.msg), _fault(fields, record)
        if not self._is_new((record.name, text, fault[0] if fault else None)):
            return
        event: dict[str, Any] = {}
        if fault is not None:
            event, _ = event_from_exception(fault, client_options=sentry_sdk.get_client().options)  # type: ignore[assignment]
        event |= {"level": record.levelname.lower(), "logger": record.name, "logentry": {"message": text}}
        event["tags"] = {"service": self._service, **{name: str(fields[name]) for name in TAGS & fields.keys()}}
        sentry_sdk.capture_event(event)  # type: ignore[arg-type]

    def _is_new(self, kind: tuple[str, str, object]) -> bool:
        now = self._clock()
        if now - self._told.get(kind, float("-inf")) < EVERY_S:
            return False
        if len(self._told) >= KINDS:
            self._told.clear()
        self._told[kind] = now
        return True


def _fault(fields: Mapping[str, Any], record: logging.LogRecord) -> Any:
    """(type, exception, traceback), None where the line tells of none."""
    given = fields.get("exc_info") or record.exc_info
    if isinstance(given, BaseException):
        return type(given), given, given.__traceback__
    found = sys.exc_info() if given is True else given
    return found if found and found[0] is not None else None


def scrubbed(event: Any, _hint: Any) -> Any:
    """The event as it may leave."""
    kept = {name: event[name] for name in EVENT if name in event}
    message = event.get("logentry", {}).get("message")
    kept |= {"logentry": {"message": message}} if message else {}
    kept["tags"] = {name: value for name, value in event.get("tags", {}).items() if name in TAGS | {"service"}}
    values = event.get("exception", {}).get("values", [])
    if values:
        kept["exception"] = {"values": [_kind(value) for value in values]}
    return kept


def _kind(value: Mapping[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames", [])
    known = [{name: frame[name] for name in FRAME if name in frame} for frame in frames]
    return {"type": value.get("type"), "module": value.get("module"), "stacktrace": {"frames": known}}
