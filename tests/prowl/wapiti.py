"""How wapiti is run, and how its report is read. It has an environment of its own: requirements/wapiti.lock."""

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).parents[2] / ".wapiti/bin/wapiti"
MODULES = (
    "cookieflags", "crlf", "csp", "exec", "file", "http_headers", "permanentxss", "redirect", "shellshock", "sql",
    "xss",
)  # fmt: skip
"""Those that need no server of wapiti's makers."""
SECONDS = 600
SLOW = "Resource consumption"
"""A time-out: it says how busy this machine is, and `make fuzz` holds answers to five seconds."""
BRIBE = "http://127.0.0.1:9/"


class ProwlFailed(Exception):
    """wapiti did not do its work."""


@dataclass(frozen=True)
class Prowl:
    """`found` is the kind of each fault with where it is; `asked` is the number of addresses it knew."""

    asked: int
    found: tuple[tuple[str, str], ...]

    @property
    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.found}


def prowl(port: int, *headers: str) -> Prowl:
    """Attacks every operation of the OpenAPI document there. Raises ProwlFailed."""
    if not PROGRAM.is_file():
        raise ProwlFailed(f"{PROGRAM} is not there: `make prowl` installs it")
    url = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory, "report.json")
        command = [
            str(PROGRAM), "--url", url, "--swagger", f"{url}openapi.json", "--module", ",".join(MODULES),
            *(word for header in headers for word in ("--header", header)), "--external-endpoint", BRIBE,
            "--no-bugreport", "--flush-session", "--timeout", "30", "--format", "json", "--output", str(report),
        ]  # fmt: skip
        environ = {"PATH": os.environ["PATH"], "HOME": directory}
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=SECONDS)
        if not report.is_file():
            raise ProwlFailed(f"wapiti ended with {done.returncode}: {(done.stdout + done.stderr)[-2_000:]}")
        return read(json.loads(report.read_text()))


def read(report: Mapping[str, Any]) -> Prowl:
    found = [
        (kind, f"{one['method']} {one['path']}: {one['info']}")
        for part in ("vulnerabilities", "anomalies")
        for kind, several in report[part].items()
        for one in several
        if kind != SLOW
    ]
    return Prowl(report["infos"]["crawled_pages_nbr"], tuple(found))
