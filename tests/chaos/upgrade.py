"""A rolling upgrade and its rollback, rehearsed: `python -m tests.chaos.upgrade --old REVISION`.

Two versions side by side on one ledger, under load: the stack starts in the old one and with its migrations; the new
one's migrations are applied while the old one works; each process is stopped and started in the new version, readers
before writers; then all the way back, the migrations left as they are. The oracle judges both ways: nothing lost, no
answer twice, no finished call paid for again. The old version is taken out of git; both use what is installed here.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from ops.local.environment import clean
from tests.chaos.harness import Drill, Report, Say
from tests.chaos.plan import Plan
from tests.chaos.running import ROOT, Running, wait_for
from tests.chaos.versioned import DEFAULT

RATE: Final = 30
SIDE_BY_SIDE: Final = 5.0
WORKERS, APIS = "2,2,1", 2
READERS_FIRST: Final = (
    "sink-clickhouse", "worker-infer-1", "worker-infer-2", "worker-wake-1", "worker-intake-1", "worker-intake-2",
    "api-1", "api-2",
)  # fmt: skip
"""Who reads a message is replaced before who writes it: a new field finds nobody who does not know it."""


@dataclass
class Rehearsal:
    """`versions` is the folder in which the processes look what they are to be."""

    stack: Running
    versions: Path
    old: Path
    told: Say = print
    times: list[float] = field(default_factory=list)

    def upgrade(self) -> Report:
        self._migrate(ROOT)
        return self._change("an upgrade", ROOT, READERS_FIRST)

    def rollback(self) -> Report:
        return self._change("a rollback", self.old, tuple(reversed(READERS_FIRST)))

    def _change(self, form: str, to: Path, names: tuple[str, ...]) -> Report:
        self.times.clear()
        with Drill(self.stack, Plan(1, form, RATE * 600, 600.0, (300, 100), ())) as drill:
            time.sleep(SIDE_BY_SIDE)
            for position, name in enumerate(names):
                self._restart(name, to)
                if position == len(names) // 2:
                    time.sleep(SIDE_BY_SIDE)
            time.sleep(SIDE_BY_SIDE)
            drill.load.stop()
            report = drill.report()
        report.figures |= {"processes replaced": len(self.times), "slowest s": round(max(self.times), 1)}
        self.told(str(report))
        return report

    def _restart(self, name: str, to: Path) -> None:
        (self.versions / name).write_text(str(to))
        began = time.monotonic()
        pid = self.stack.signal(name, signal.SIGTERM)
        if wait_for(lambda: not psutil.pid_exists(pid), 60) is None:
            raise RuntimeError(f"{name} does not stop")
        if wait_for(lambda: self.stack.running(name) and self.stack.pid(name) not in (None, pid), 120) is None:
            raise RuntimeError(f"{name} does not start in {to}")
        self.times.append(time.monotonic() - began)
        if Path(self.stack.process(name).cwd()) != to:
            raise RuntimeError(f"{name} is not the version in {to}")
        self.told(f"  {name} is {to.name} after {self.times[-1]:.1f} s")

    def _migrate(self, tree: Path) -> None:
        """As a release does first: the old version works meanwhile."""
        environment = clean(os.environ) | {
            name: value for name, value in self.stack.env.items() if name.endswith(("_URL", "_SERVERS"))
        }
        environment |= {
            "DATABASE_URL": self.stack.env["DIRECT_DATABASE_URL"],
            "CLICKHOUSE_URL": self.stack.env["DIRECT_CLICKHOUSE_URL"],
            "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
        }
        for words in (("migrate",), ("topics", "apply")):
            subprocess.run(
                [sys.executable, "-m", "cli.main", *words, "--use-env"],
                cwd=tree,
                env=environment,
                check=True,
                timeout=300,
            )
        self.told("  migrated, while the old version worked")


def taken_out(revision: str, folder: Path) -> Path:
    """The files of `revision`, in a folder of its short name."""
    name = subprocess.run(
        ["git", "rev-parse", "--short", revision], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()
    tree = folder / name
    tree.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive, check=True)
    return tree


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos.upgrade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--old", default="HEAD^", metavar="REVISION", help="the version to come from, and to go back to"
    )
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack is stopped too
    data = Path(tempfile.mkdtemp(prefix="upgrade-"))
    old = taken_out(arguments.old, data / "old")
    versions = data / "versions"
    versions.mkdir()
    (versions / DEFAULT).write_text(str(old))
    print(f"from {old.name} to {ROOT.name}, and back; logs in {data}", flush=True)
    with Running(data / "stack", WORKERS, APIS, versions=versions) as stack:
        rehearsal = Rehearsal(stack, versions, old)
        reports = [rehearsal.upgrade(), rehearsal.rollback()]
    return 0 if all(report.held for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
