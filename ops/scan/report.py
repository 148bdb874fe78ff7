"""What a scanner answers, and how its program is run."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
