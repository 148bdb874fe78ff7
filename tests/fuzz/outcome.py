"""What came of asking: how many cases, and what was wrong with their answers."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Outcome:
    """`asked` is the number of operations that at least one case was sent to."""

    name: str
    asked: int
    cases: int
    seconds: float
    findings: tuple[str, ...]

    def __str__(self) -> str:
        found = "".join(f"\n  {one}" for one in self.findings)
        return f"{self.name}: {self.cases} cases in {self.seconds:.0f} s, {len(self.findings)} findings{found}"

    def but(self, finding: str) -> "Outcome":
        return replace(self, findings=(*self.findings, finding))

    def keep(self, directory: Path) -> None:
        """Only where nothing was found: what was is asked again."""
        if not self.findings:
            _place(directory, self.name).write_text(json.dumps(asdict(self)))


def kept(directory: Path, name: str) -> Outcome | None:
    place = _place(directory, name)
    return Outcome(**{**json.loads(place.read_text()), "findings": ()}) if place.is_file() else None


def judged(name: str, report: Mapping[str, Any], text: str) -> Outcome:
    """Of schemathesis's JSON report; `text` is what it printed."""
    if report["operations"] is None:
        return Outcome(name, 0, 0, 0.0, (f"it did not begin: {text[-2_000:]}",))
    findings = [json.dumps(one) for one in (*report["failures"], *report["errors"])]
    if not report["complete"] or (report["exit_code"] and not findings):
        findings.append(f"it did not come to its end: {text[-2_000:]}")
    return Outcome(
        name,
        report["operations"]["tested"],
        report["test_cases"]["generated"],
        report["running_time"],
        tuple(findings),
    )


def table(outcomes: Iterable[Outcome]) -> str:
    """The figures of the page of security."""
    several = list(outcomes)
    cases = sum(one.cases for one in several)
    findings = sum(len(one.findings) for one in several)
    fewest = min(several, key=lambda one: one.cases)
    return f"{len(several)} parts, {cases} cases ({fewest.cases} at least: {fewest.name}), {findings} findings"


def _place(directory: Path, name: str) -> Path:
    return directory / f"{re.sub(r'[^A-Za-z0-9]+', '-', name).strip('-')}.json"
