"""Breaks things, says how long Prometheus took to fire, does what the runbooks say, and says how long until it ends.

Three lines of real processes on the engines of a stack that runs, production's scrape and rules. With `--faster 10`
every duration of the rules is a tenth, and what fires after an hour and more is looked for too.
DiskFills wants root (a small file system is mounted) and node_exporter, DoorUnreachable blackbox_exporter, on PATH.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.monitoring.faults.causes import Fault
from tests.monitoring.faults.lines import locked, people, provided
from tests.monitoring.faults.machine import certificate, disk, door, receiver
from tests.monitoring.faults.place import Place, placed
from tests.monitoring.faults.slow import exported, paused, silent, slow
from tests.monitoring.faults.watching import Watched

WELL = 90
"""Seconds that everything is well before the first fault."""

LINES: dict[str, Callable[[Place, str], list[Fault]]] = {
    "people": people,
    "locked": lambda place, _: locked(place),
    "provided": lambda place, _: provided(place),
    "slow": lambda place, _: slow(place),
    "exported": lambda place, _: exported(place),
    "disk": lambda place, _: disk(place),
    "door": lambda place, _: door(place),
}
ALONE: dict[str, Callable[[Place, str], list[Fault]]] = {
    "certificate": lambda place, _: certificate(place),
    "paused": lambda place, _: paused(place),
    "silent": lambda place, _: silent(place),
}
"""Those that are measured where they are named: what they show needs faster rules, or that nothing else runs."""


def named(faults: list[Fault], alerts: list[str]) -> list[Fault]:
    """Those that cause one of the alerts; all of them where none is named."""
    return [one for one in faults if not alerts or {alert.name for alert in one.alerts} & set(alerts)]


def run(engines: Path, faster: int, most: float, only: list[str], alerts: list[str]) -> int:
    with tempfile.TemporaryDirectory() as directory, placed(engines, Path(directory), faster) as place:
        url = place.stack.enter_context(receiver())
        lines = [named((LINES | ALONE)[name](place, url), alerts) for name in only or LINES]
        watched = Watched(place, lines)
        place.watch()
        time.sleep(WELL)
        print(f"firing while all is well: {place.firing()}", flush=True)
        watched.run(most)
        print(f"every duration of the rules divided by {faster}")
        print(*(course.row() for course in watched.courses), sep="\n")
        print(f"troubles: {watched.troubles or 'none'}")
        return int(bool(watched.troubles) or any(course.fired is None for course in watched.courses))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", type=Path, default=Path(".local"), help="the directory of a stack that runs")
    parser.add_argument("--faster", type=int, default=1, help="divide every duration of the rules by this")
    parser.add_argument("--most", type=float, default=2_400, help="seconds after which it ends anyhow")
    parser.add_argument("--only", nargs="+", choices=[*LINES, *ALONE], default=[], help="these lines of faults")
    parser.add_argument("--alerts", nargs="+", default=[], help="only faults that cause one of these")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    raise SystemExit(run(given.engines, given.faster, given.most, given.only, given.alerts))
