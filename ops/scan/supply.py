"""What the product is made of: `make sbom` writes it down, `make audit` asks which of it has known faults.

The list is of the lock file that images are built from. The audit asks of all lock files, those of npm too, and needs a
network. What lacks a package fails, since an audit also ends well when it audited nothing.
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ops.scan import npm
from ops.scan.__main__ import ROOT
from ops.scan.report import ScannerFailed, Tools

LOCK = Path("requirements/production.lock")
LIST = Path("build/sbom.cdx.json")
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?P<marker>\s*;)?", re.MULTILINE)


def pinned(lock: str, everywhere: bool) -> dict[str, str]:
    """Names and versions; with `everywhere` only of what is installed on every machine."""
    found = _PINNED.finditer(lock)
    return {_plain(one[1]): one[2] for one in found if not (everywhere and one["marker"])}


def missing(lock: str, listed: Iterable[Mapping[str, Any]], everywhere: bool) -> list[str]:
    """What the lock pins and `listed` (each with `name` and `version`) does not have."""
    known = {(_plain(one["name"]), one.get("version")) for one in listed}
    wanted = pinned(lock, everywhere)
    if not wanted:
        raise ScannerFailed("the lock file pins nothing")
    return [f"{name}=={version}" for name, version in wanted.items() if (name, version) not in known]


def vulnerable(report: Mapping[str, Any]) -> list[str]:
    """What pip-audit's report objects to, with the versions that mend it."""
    return [
        f"{one['name']} {one['version']}: {fault['id']}, mended in {', '.join(fault['fix_versions']) or 'no version'}"
        for one in report["dependencies"]
        for fault in one.get("vulns", ())
    ]


def sbom(tools: Tools, root: Path) -> int:
    """Writes LIST, CycloneDX 1.6, which the program checks against its schema."""
    (root / LIST).parent.mkdir(exist_ok=True)
    command = ["cyclonedx-py", "requirements", str(LOCK), "--pyproject", "pyproject.toml", "--mc-type", "application"]
    more = ["--spec-version", "1.6", "--output-reproducible", "--validate", "--output-file", str(LIST)]
    done = subprocess.run(
        [str(tools.bin / command[0]), *command[1:], *more], cwd=root, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ScannerFailed(f"cyclonedx-py ended with {done.returncode}: {done.stderr[-800:]}")
    listed = json.loads((root / LIST).read_text())["components"]
    left_out = missing((root / LOCK).read_text(), listed, everywhere=False)
    print(f"{LIST}: {len(listed)} components of {LOCK}")
    return _told("not in the list", left_out)


def audit(tools: Tools, root: Path) -> int:
    """Every lock is asked about, whatever came of another."""
    locks = sorted(path.relative_to(root) for path in (root / LOCK).parent.glob("*.lock"))
    asked = [partial(_audit_python, tools, root, lock) for lock in locks]
    asked += [partial(_audit_npm, place, root) for place in npm.places(root)]
    return max([_tried(one) for one in asked])


def _audit_python(tools: Tools, root: Path, lock: Path) -> int:
    options = ["--strict", "--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
    report = tools.report(root, ["pip-audit", *options, "--requirement", str(lock)], (0, 1))
    left_out = missing((root / lock).read_text(), report["dependencies"], everywhere=True)
    print(f"pip-audit: {len(report['dependencies'])} packages of {lock}")
    return _told("not audited", left_out) or _told("known fault", vulnerable(report))


def _audit_npm(place: Path, root: Path) -> int:
    pinned, faults = npm.audited(place)
    print(f"npm audit: {pinned} packages of {place.relative_to(root)}")
    return _told("known fault", faults)


def _tried(audit: Callable[[], int]) -> int:
    try:
        return audit()
    except ScannerFailed as error:
        return _told("error", [str(error)])


def _told(what: str, wrong: list[str]) -> int:
    for one in wrong:
        print(f"{what}: {one}", file=sys.stderr)
    return 1 if wrong else 0


def _plain(name: str) -> str:
    """PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    [order] = sys.argv[1:]
    try:
        sys.exit({"sbom": sbom, "audit": audit}[order](Tools(ROOT / ".scan" / "bin"), ROOT))
    except ScannerFailed as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
