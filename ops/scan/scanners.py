"""bandit, semgrep with rules.yaml and the rest: how each is run, and how its report is read.

They are programs of a virtual environment of their own (requirements/scan.lock), so that what they need never meets
what the product needs. None of them asks the network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.scan import shell
from ops.scan.report import Finding, ScannerFailed, Seen, Tools

RULES = Path(__file__).with_name("rules.yaml")
_HIJACKED = """\
on: push
permissions: {}
jobs:
  a:
    runs-on: ubuntu-24.04
    steps:
      - run: echo ${{ github.event.head_commit.message }}
"""


@dataclass(frozen=True)
class Scanner:
    """`wanted` are patterns of the names it reads, `canary` is the name and the text of a file it must object to."""

    name: str
    wanted: tuple[str, ...]
    canary: tuple[str, str]
    look: Callable[["Tools", Path, Sequence[str]], Seen]


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


def _zizmor(tools: Tools, root: Path, files: Sequence[str]) -> Seen:
    command = ["zizmor", "--offline", "--quiet", "--no-exit-codes", "--strict-collection", "--format", "json", *files]
    found = [
        Finding(_place(one)["symbolic"]["key"]["Local"]["verbatim_path"], _row(_place(one)), one["ident"])
        for one in tools.report(root, command, (0,))
        if not one["ignored"]
    ]
    # it names no files: one that it cannot read ends it
    return Seen(len(files), tuple(found))


def _place(finding: Any) -> Any:
    return next(one for one in finding["locations"] if one["symbolic"]["kind"] == "Primary")


def _row(place: Any) -> int:
    return int(place["concrete"]["location"]["start_point"]["row"]) + 1


SCANNERS = (
    Scanner("bandit", ("*.py",), ("canary.py", "import yaml\n\nyaml.load(open('x'))\n"), _bandit),
    Scanner("semgrep", ("*.py",), ("canary.py", "import asyncio\n\nasyncio.wait_for(f(), 1)\n"), _semgrep),
    Scanner("detect-secrets", ("*",), ("canary.txt", "AWS_KEY = AKIA" + "QZ3T" * 4 + "\n"), _detect_secrets),
    Scanner("shellcheck", (".github/workflows/*", "*.sh", ".ci/run"), ("canary.sh", "#!/bin/sh\nrm $1\n"), shell.look),
    Scanner("zizmor", (".github/workflows/*",), ("canary.yml", _HIJACKED), _zizmor),
    Scanner("check-jsonschema", (".github/workflows/*",), ("canary.yml", "on: push\njobs: 7\n"), _check_jsonschema),
)
