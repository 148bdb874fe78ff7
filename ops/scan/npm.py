"""Known faults of what the lock files of npm pin, those of every package.json of the repository."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ops.scan.report import ScannerFailed

HARMLESS = ("info", "low")
LIMIT_S = 120


def places(root: Path) -> list[Path]:
    """The folders with a package.json that is, or would be, committed, and that wants packages."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "package.json", "*/package.json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    found = [root / name for name in done.stdout.splitlines()]
    return sorted(file.parent for file in found if file.is_file() and _wants(json.loads(file.read_text())))


def _wants(package: Mapping[str, Any]) -> bool:
    return any(name.endswith("ependencies") and package[name] for name in package)


def audited(place: Path) -> tuple[int, list[str]]:
    """How many packages the lock pins, and which of them have a fault. Raises ScannerFailed, also for half an audit."""
    npm, lock = shutil.which("npm"), place / "package-lock.json"
    if npm is None:
        raise ScannerFailed("npm is not installed: apt-get install npm")
    if not lock.is_file():
        raise ScannerFailed(f"{lock} is not there: `npm install --package-lock-only` beside it makes it")
    pinned = len(json.loads(lock.read_text())["packages"].keys() - {""})
    command = [npm, "audit", "--package-lock-only", "--json"]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    report = _report(place, done.stdout or done.stderr)
    if not pinned or report["metadata"]["dependencies"]["total"] < pinned:
        raise ScannerFailed(f"npm audited {report['metadata']['dependencies']['total']} of {pinned} packages of {lock}")
    return pinned, vulnerable(report)


def vulnerable(report: Mapping[str, Any]) -> list[str]:
    """What npm's report (its second version) objects to, with the versions that have the fault."""
    found = [one for one in report["vulnerabilities"].values() if one["severity"] not in HARMLESS]
    return [f"{one['name']} {one['range']}: {one['severity']}, {', '.join(map(_title, one['via']))}" for one in found]


def _title(cause: str | Mapping[str, Any]) -> str:
    return f"by {cause}" if isinstance(cause, str) else f"{cause['title']} ({cause['url']})"


def _report(place: Path, text: str) -> dict[str, Any]:
    try:
        report = dict(json.loads(text))
    except ValueError as error:
        raise ScannerFailed(f"npm audit gave no report of {place}: {text[-400:]!r}") from error
    if "auditReportVersion" not in report:
        raise ScannerFailed(f"npm audit gave no report of {place}: {report.get('message') or text[-400:]}")
    return report
