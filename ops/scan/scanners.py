"""bandit, semgrep with rules.yaml, detect-secrets and check-jsonschema: how each is run, and how its report is read.

They are programs of a virtual environment of their own (requirements/scan.lock), so that what they need never meets
what the product needs. None of them asks the network.
"""

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RULES = Path(__file__).with_name("rules.yaml")
LIMIT_S = 900


@dataclass(frozen=True, order=True)
class Finding:
    """Something that a scanner objects to; `mark` tells two of a line apart."""

    path: str
    line: int
    rule: str
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}"


@dataclass(frozen=True)
class Seen:
    """What a run looked at, and what it found."""

    files: int
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Scanner:
    """`wanted` are patterns of the names it reads, `canary` is the name and the text of a file it must object to."""

    name: str
    wanted: tuple[str, ...]
    canary: tuple[str, str]
    look: Callable[["Tools", Path, Sequence[str]], Seen]


class ScannerFailed(Exception):
    """A scanner did not do its work: it is missing, or it said something else than a report."""


@dataclass(frozen=True)
class Tools:
    """Where the scanners' programs are."""

    bin: Path

    def report(self, root: Path, command: Sequence[str], good: Sequence[int]) -> Any:
        """The JSON that a command prints. Raises ScannerFailed."""
        program = self.bin / command[0]
        if not program.is_file():
            raise ScannerFailed(f"{program} is not there: `make scan` installs it")
        environment = {"PATH": f"{self.bin}:/usr/bin:/bin", "HOME": str(self.bin.parent), "SEMGREP_SEND_METRICS": "off"}
        done = subprocess.run(
            [str(program), *command[1:]],
            cwd=root, capture_output=True, text=True, check=False, timeout=LIMIT_S, env=environment,
        )  # fmt: skip
        if done.returncode not in good:
            raise ScannerFailed(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout)[-800:]}")
        try:
            return json.loads(done.stdout)
        except ValueError as error:
            said = done.stdout.strip() or done.stderr.strip()
            raise ScannerFailed(f"{' '.join(command)} gave no report: {said[-400:]!r}") from error


def _bandit(tools: Tools, root: Path, files: Sequence[str]) -> Seen:
    # ruff's S608 looks for the same as B608, and knows where a reason is given
    report = tools.report(root, ["bandit", "--quiet", "--format", "json", "-ll", "--skip", "B608", *files], (0, 1))
    if report["errors"]:
        raise ScannerFailed(f"bandit could not read {report['errors'][0]}")
    found = [
        Finding(one["filename"].removeprefix("./"), one["line_number"], one["test_id"]) for one in report["results"]
    ]
    return Seen(len(report["metrics"].keys() - {"_totals"}), tuple(found))


def _semgrep(tools: Tools, root: Path, files: Sequence[str]) -> Seen:
    options = ["--config", str(RULES), "--metrics", "off", "--disable-version-check", "--no-git-ignore", "--json"]
    report = tools.report(root, ["semgrep", "scan", *options, *files], (0, 1))
    if report["errors"]:
        raise ScannerFailed(f"semgrep says {report['errors'][0]}")
    found = [
        Finding(one["path"], one["start"]["line"], one["check_id"].rpartition(".")[2]) for one in report["results"]
    ]
    return Seen(len(report["paths"]["scanned"]), tuple(found))


def _detect_secrets(tools: Tools, root: Path, files: Sequence[str]) -> Seen:
    # without the detectors of words and of random text, which object to every example of a secret, an id or a trace
    without = ("KeywordDetector", "HexHighEntropyString", "Base64HighEntropyString")
    options = ["--all-files", *(word for name in without for word in ("--disable-plugin", name))]
    report = tools.report(root, ["detect-secrets", "scan", *options, *files], (0,))
    found = [
        Finding(path, one["line_number"], one["type"], one["hashed_secret"])
        for path, several in report["results"].items()
        for one in several
    ]
    return Seen(len(files), tuple(found))


def _check_jsonschema(tools: Tools, root: Path, files: Sequence[str]) -> Seen:
    command = ["check-jsonschema", "--builtin-schema", "vendor.github-workflows", "--verbose", "-o", "json", *files]
    report = tools.report(root, command, (0, 1))
    wrong = [*report.get("errors", ()), *report.get("parse_errors", ())]
    found = [Finding(one["filename"], 1, one.get("message", "unreadable")) for one in wrong]
    return Seen(len(report.get("successes", ())) + len({one.path for one in found}), tuple(found))


SCANNERS = (
    Scanner("bandit", ("*.py",), ("canary.py", "import yaml\n\nyaml.load(open('x'))\n"), _bandit),
    Scanner("semgrep", ("*.py",), ("canary.py", "import asyncio\n\nasyncio.wait_for(f(), 1)\n"), _semgrep),
    Scanner("detect-secrets", ("*",), ("canary.txt", "AWS_KEY = AKIA" + "QZ3T" * 4 + "\n"), _detect_secrets),
    Scanner("check-jsonschema", (".github/workflows/*",), ("canary.yml", "on: push\njobs: 7\n"), _check_jsonschema),
)
