"""Schemathesis against a server of its own."""

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from api.application import create_app
from tests.api.door import Door
from tests.fuzz.outcome import Outcome, judged
from tests.line.processes import until

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method",
)  # fmt: skip
METHODS = ("get", "post", "put", "patch", "delete")
EVERYTHING, SEQUENCES = "every operation", "sequences of operations"
SLOW_S = 5
PATIENCE_S = 60
"""An answer that comes later than SLOW_S is a finding; one that does not come at all is another."""
OPERATOR = ["operators=acme", "address_failures_per_minute=1000000"]


@dataclass(frozen=True)
class Wish:
    """How much is asked, in which of schemathesis's phases."""

    cases: int
    phases: str
    seed: int


@cache
def document() -> dict[str, Any]:
    """What the server serves as openapi.json."""
    door = Door()
    return create_app(door.ports, door.settings).openapi()


def operations() -> tuple[str, ...]:
    """As schemathesis names them: `POST /v1/analyze`."""
    paths = document()["paths"]
    return tuple(
        f"{method.upper()} {path}" for path, methods in paths.items() for method in methods if method in METHODS
    )


def ask(wish: Wish, name: str) -> Outcome:
    """`name` is that of an operation, EVERYTHING or SEQUENCES."""
    with tempfile.TemporaryDirectory() as directory, served() as (port, key):
        report, schema = Path(directory, "report.json"), Path(directory, "openapi.json")
        schema.write_text(json.dumps(document()))
        run = [
            sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run", str(schema),
            "--url", f"http://127.0.0.1:{port}", "--header", f"Authorization: Bearer {key}",
            "--request-timeout", str(PATIENCE_S),
            "--checks", ",".join(CHECKS), "--max-response-time", str(SLOW_S), "--suppress-health-check", "all",
            "--no-color", "--warnings", "off", "--continue-on-failure", "--generation-database", "none",
            "--report", "json", "--report-json-path", str(report), "--max-examples", str(wish.cases),
            "--phases", wish.phases, "--seed", str(wish.seed),
            *([] if name in (EVERYTHING, SEQUENCES) else ["--include-name", name]),
        ]  # fmt: skip
        done = subprocess.run(run, cwd=directory, capture_output=True, text=True, check=False)
        if not report.is_file():
            return Outcome(name, 0, 0, 0, (f"no report: {(done.stdout + done.stderr)[-2_000:]}",))
        return judged(name, json.loads(report.read_text()), done.stdout + done.stderr)


@contextmanager
def served() -> Iterator[tuple[int, str]]:
    """The port of a server on the in-memory twins, and a key of its operator."""
    port = _free_port()
    command = [sys.executable, "-m", "tests.shield.server", str(port), *OPERATOR]
    with tempfile.NamedTemporaryFile() as file, subprocess.Popen(command, stdout=file, stderr=file) as server:
        log = Path(file.name)
        try:
            until(lambda: _listens(port), 120, log.read_text)
            yield port, log.read_text().split()[0]
        finally:
            server.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
