"""Schemathesis asks the served API whatever its OpenAPI document allows, and what it does not.

`python -m tests.fuzz --cases 1000` (`make fuzz`): so many cases an operation, on the in-memory twins. Exits 1 when an
answer is a 5xx, has a status, type, header or body that the document does not know, or takes more than five seconds;
also when an operation was not asked at all.
"""

import argparse
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "unsupported_method",
)  # fmt: skip
SLOW_S = 5
OPERATOR = ["operators=acme", "address_failures_per_minute=1000000"]


def fuzz(cases: int, phases: str, seed: int) -> int:
    """The exit code: 0 when every operation was asked and nothing was found."""
    with tempfile.TemporaryDirectory() as directory:
        log, port = Path(directory, "log"), _free_port()
        command = [sys.executable, "-m", "tests.shield.server", str(port), *OPERATOR]
        with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as server:
            try:
                wanted = ["--max-examples", str(cases), "--phases", phases, "--seed", str(seed)]
                return _judged(*_asked(_key(log, port), port, wanted, directory))
            finally:
                server.terminate()


def _asked(key: str, port: int, wanted: list[str], directory: str) -> tuple[int, str]:
    """`directory` is where it leaves what it remembers."""
    run = [
        sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()", "run",
        f"http://127.0.0.1:{port}/openapi.json", "--header", f"Authorization: Bearer {key}",
        "--checks", ",".join(CHECKS), "--max-response-time", str(SLOW_S), "--suppress-health-check", "all",
        "--no-color", "--warnings", "off", "--continue-on-failure", "--generation-database", "none", *wanted,
    ]  # fmt: skip
    done = subprocess.run(run, cwd=directory, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def _judged(code: int, report: str) -> int:
    found = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", report)
    generated = re.search(r"(\d[\d,]*) generated", report)
    print(report)
    if found is None or generated is None or len(set(found.groups())) != 1:
        print("not every operation was asked: nothing is proven")
        return 1
    return code


def _key(log: Path, port: int) -> str:
    deadline = time.monotonic() + 60
    while not _listens(port):
        if time.monotonic() > deadline:
            raise RuntimeError(f"the API does not start: {log.read_text()[-800:]}")
        time.sleep(0.1)
    return log.read_text().split()[0]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--phases", default="examples,coverage,fuzzing,stateful")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(fuzz(arguments.cases, arguments.phases, arguments.seed))
