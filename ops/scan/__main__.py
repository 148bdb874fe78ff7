"""Every scanner over every file it can read: `make scan`.

Exits 1 for a finding that is not known, and for a scanner that looked at less than it was given or overlooked the fault
that is planted beside it: silence alone proves nothing. `ops/scan/secrets.json` is the baseline of detect-secrets:
examples and names that only look like secrets. After a look at what is new, `python -m ops.scan --accept` writes it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ops.scan.report import Finding, ScannerFailed, Seen, Tools
from ops.scan.scanners import SCANNERS, Scanner

ROOT = Path(__file__).parents[2]
BASELINE = Path(__file__).with_name("secrets.json")
ROOMS = ("topics/", "domain/", "connectors/", "agents/", "api/", "cli/", "ops/", ".ci/", ".github/")
HASHES = (".lock", ".sha256", ".sum", ".mod")
"""Hashes look like secrets throughout. Tests and pages invent keys: tests/house/test_no_secrets.py reads them."""


def files_of(root: Path) -> list[str]:
    """What is, or would be, committed of the rooms; all that is there where git does not say."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    listed = done.stdout.splitlines() if done.returncode == 0 else _walked(root)
    files = [name for name in listed if name.startswith(ROOMS) and (root / name).is_file()]
    return [name for name in files if not name.endswith(HASHES) and (root / name) != BASELINE]


def _walked(root: Path) -> list[str]:
    found = (path.relative_to(root) for room in ROOMS for path in (root / room).rglob("*"))
    return sorted(str(path) for path in found if "__pycache__" not in path.parts)


def run(scanner: Scanner, tools: Tools, root: Path, files: Sequence[str]) -> Seen:
    """What it finds in those of `files` that it can read. Raises ScannerFailed where that proves nothing."""
    wanted = [name for name in files if any(Path(name).match(pattern) for pattern in scanner.wanted)]
    if not wanted:
        raise ScannerFailed(f"{scanner.name} was given no file to look at")
    name, text = scanner.canary
    # below the root: detect-secrets is silent about what is elsewhere
    with tempfile.TemporaryDirectory(dir=root, prefix=".canary-") as directory:
        canary = Path(directory, name)
        canary.write_text(text)
        seen = scanner.look(tools, root, [*wanted, str(canary.relative_to(root))])
    if not any(Path(one.path).name == name for one in seen.findings):
        raise ScannerFailed(f"{scanner.name} overlooks {text!r}: its silence says nothing")
    if seen.files <= len(wanted):
        raise ScannerFailed(f"{scanner.name} looked at {seen.files} of {len(wanted) + 1} files")
    return Seen(len(wanted), tuple(sorted(one for one in seen.findings if Path(one.path).name != name)))


def known(text: str) -> set[tuple[str, str]]:
    """File and hash of what the baseline accepts."""
    results: dict[str, list[dict[str, Any]]] = json.loads(text)
    return {(path, one["hashed_secret"]) for path, several in results.items() for one in several}


def accepted(findings: Sequence[Finding]) -> str:
    """The baseline that accepts these; no line numbers, so that it changes only when a secret does."""
    results: dict[str, list[dict[str, str]]] = {}
    for one in findings:
        if one.mark:
            results.setdefault(one.path, []).append({"type": one.rule, "hashed_secret": one.mark})
    return json.dumps(results, indent=1) + "\n"


def main(accept: bool) -> int:
    tools, files, wrong = Tools(ROOT / ".scan" / "bin"), files_of(ROOT), 0
    baseline = known(BASELINE.read_text())
    for scanner in SCANNERS:
        began = time.monotonic()
        try:
            seen = run(scanner, tools, ROOT, files)
        except ScannerFailed as error:
            print(f"{scanner.name}: {error}", file=sys.stderr)
            wrong += 1
            continue
        if accept and scanner.name == "detect-secrets":
            BASELINE.write_text(accepted(seen.findings))
            baseline = known(BASELINE.read_text())
        new = [one for one in seen.findings if (one.path, one.mark) not in baseline]
        print(f"{scanner.name}: {seen.files} files, {len(new)} findings, {time.monotonic() - began:.1f} s")
        for one in new:
            print(f"  {one}", file=sys.stderr)
        wrong += len(new)
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write the baseline of detect-secrets anew")
    sys.exit(main(parser.parse_args().accept))
