"""What a real receiver of Sentry's is sent: the fault and its place, and nothing of what it was about."""

import gzip
import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import brotli
import pytest
import sentry_sdk
import structlog

from connectors.telemetry import logs
from connectors.telemetry.sentry import Reporter, report_faults
from domain.errors import MissingExtra

SECRETS = (
    "sp_live_abcdefghijklmnop", "where is the parcel of Mrs Silver", "sk-1234567890abcdef", "acme-tenant", "hunter2",
)  # fmt: skip
UNPACK: dict[str, Callable[[bytes], bytes]] = {"br": brotli.decompress, "gzip": gzip.decompress, "": bytes}
KEY, PROMPT, PROVIDER_KEY, TENANT, PASSWORD = SECRETS


class Receiver(BaseHTTPRequestHandler):
    bodies: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.bodies.append(UNPACK[self.headers.get("content-encoding", "")](body))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def bodies() -> Iterator[list[bytes]]:
    handler = type("Door", (Receiver,), {"bodies": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.set_up(stream=io.StringIO(), stage="infer")
    report_faults(f"http://public@127.0.0.1:{server.server_port}/1", "structured-prompt-infer", "1")
    yield handler.bodies  # type: ignore[attr-defined]
    root.handlers[:], root.level = before
    structlog.reset_defaults()
    sentry_sdk.get_client().close()
    server.shutdown()
    server.server_close()
    thread.join()


def events(bodies: list[bytes]) -> list[dict[str, Any]]:
    sentry_sdk.get_client().flush(timeout=30)
    lines = [json.loads(line) for body in bodies for line in body.splitlines() if line.startswith(b"{")]
    return [line for line in lines if "level" in line]


def fail(prompt: str) -> None:
    api_key = KEY  # noqa: F841 - a variable of the frame
    raise ValueError(f"cannot read {prompt} of {TENANT}")


def told_of(bodies: list[bytes]) -> dict[str, Any]:
    try:
        fail(PROMPT)
    except ValueError:
        structlog.get_logger("infer").exception(
            "fault", stage="infer", what="hedge", tenant=TENANT, prompt=PROMPT, authorization=f"Bearer {KEY}"
        )
    (event,) = events(bodies)
    return event


def test_a_fault_is_told_with_its_kind_its_place_and_its_stage(bodies: list[bytes]) -> None:
    event = told_of(bodies)
    (value,) = event["exception"]["values"]
    assert (event["level"], event["logentry"]["message"], value["type"]) == ("error", "fault", "ValueError")
    assert value["stacktrace"]["frames"][-1]["function"] == "fail"
    assert event["tags"] == {"service": "structured-prompt-infer", "stage": "infer", "what": "hedge"}
    assert event["release"] == "structured-prompt@1"


def test_no_prompt_key_tenant_variable_or_message_of_an_exception_leaves(bodies: list[bytes]) -> None:
    told_of(bodies)
    logging.getLogger("vendor").error("cannot log in to %s with %s", f"postgresql://u:{PASSWORD}@h/d", PROVIDER_KEY)
    logging.getLogger("quiet").warning("nobody is told of %s", PROMPT)
    assert [event["logentry"]["message"] for event in events(bodies)] == ["fault", "cannot log in to %s with %s"]
    sent = b"".join(bodies)
    assert not [secret for secret in SECRETS if secret.encode() in sent]
    assert not {"user", "request", "breadcrumbs", "extra", "contexts", "modules"} & set(events(bodies)[0])
    assert b'"vars"' not in sent


def test_a_fault_that_repeats_is_told_once_a_minute(bodies: list[bytes]) -> None:
    now = [0.0]
    reporter = Reporter("structured-prompt-infer", lambda: now[0])
    record = logging.LogRecord("infer", logging.ERROR, "f.py", 1, {"event": "fault"}, (), None)
    for _ in range(1_000):
        reporter.emit(record)
    now[0] = 61.0
    reporter.emit(record)
    assert len(events(bodies)) == 2


def test_without_a_dsn_nothing_is_loaded_and_nothing_is_told() -> None:
    before = logging.getLogger().handlers[:]
    report_faults(None, "structured-prompt-infer", "1")
    assert logging.getLogger().handlers == before


def test_a_dsn_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentry_sdk", None)
    with pytest.raises(MissingExtra, match=r"structured-prompt\[sentry\]"):
        report_faults("http://public@127.0.0.1:9/1", "structured-prompt-infer", "1")
