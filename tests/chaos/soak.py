"""`python -m tests.chaos.soak --minutes 25`: a steady load, and whether anything grows that must not.

The load is 70 % of what a burst shows to be the most, or as `--rate` says.
Each process of ours is measured every few seconds after a time to settle: resident memory, file descriptors, threads,
asyncio tasks where it tells of them. The slope is the least-squares line through all measurements.
"""

import argparse
import signal
import statistics
import sys
import tempfile
import threading
import time
import urllib.request
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from ops.local.instance import read_state
from tests.chaos.running import ReadError, Running
from tests.chaos.steady import Steady

SETTLE_S: Final = 300.0
EVERY_S: Final = 5.0
MB_A_MINUTE: Final = 1.0
BURST: Final = 4_000
SHARE: Final = 0.7
OURS: Final = ("worker-", "api-", "sink-")


@dataclass(slots=True)
class Course:
    """Measurements of one process over time: (seconds, value)."""

    rss_mb: list[tuple[float, float]] = field(default_factory=list)
    fds: list[tuple[float, float]] = field(default_factory=list)
    threads: list[tuple[float, float]] = field(default_factory=list)
    tasks: list[tuple[float, float]] = field(default_factory=list)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Per minute."""
    if len(points) < 2:
        return 0.0
    return statistics.linear_regression(*zip(*points, strict=True)).slope * 60


def grows(points: Sequence[tuple[float, float]]) -> bool:
    """Whether each third of the time lies above the one before, peaks and noise apart: a leak does not stop."""
    third = len(points) // 3
    if third == 0:
        return False
    values = [value for _, value in points]
    first, second, last = values[:third], values[third:-third], values[-third:]
    return min(second) > max(first) and min(last) > max(second)


@dataclass(slots=True)
class Result:
    """What came of it: lines to show, and what grew or was lost."""

    lines: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def most(steady: Steady) -> float:
    """Events a second that the second of two bursts comes out at. Raises ReadError when one does not come out."""
    taken = 0.0
    for _ in range(2):
        begun = time.monotonic()
        steady.send(BURST)
        if steady.wait_answered(120):
            raise ReadError("a burst was not answered within two minutes")
        taken = time.monotonic() - begun
    return BURST / taken


def soak(stack: Running, minutes: float, rate: float | None, settle: float) -> Result:
    """A steady load for `minutes` after `settle` seconds of it, measured every few seconds."""
    steady = Steady(stack.env["KAFKA_BOOTSTRAP_SERVERS"])
    stack.control("POST", latency_ms={"mean": 20, "jitter": 10})
    rate = rate or SHARE * most(steady)
    seconds = settle + minutes * 60
    print(f"{rate:.0f} events/s, {settle:.0f} s to settle and {minutes:g} minutes measured", flush=True)
    courses: dict[str, Course] = defaultdict(Course)
    sending = threading.Thread(target=steady.send, args=(int(rate * seconds), rate), daemon=True)
    sending.start()
    begun = time.monotonic()
    while (at := time.monotonic() - begun) < seconds:
        time.sleep(EVERY_S)
        if at > settle:
            _measure(stack, at, courses)
    sending.join()
    left = steady.wait_answered(60)
    steady.close()
    return _judged(courses, [f"{left} of {steady.sent} requests were not answered"] if left else [], steady.sent)


def _judged(courses: dict[str, Course], violations: list[str], sent: int) -> Result:
    result = Result([f"{sent} requests"], violations)
    for name, course in sorted(courses.items()):
        result.lines.append(
            f"{name}: RSS {_ends(course.rss_mb)} MB, {slope(course.rss_mb):+.2f} MB a minute; "
            f"descriptors {_ends(course.fds)}, threads {_ends(course.threads)}, tasks {_ends(course.tasks)}"
        )
        result.violations += _growth(name, course)
    return result


def _measure(stack: Running, at: float, courses: dict[str, Course]) -> None:
    state = read_state(stack.data)
    for row in state.processes if state else []:
        if row.pid is None or not row.name.startswith(OURS):
            continue
        process, course = psutil.Process(row.pid), courses[row.name]
        course.rss_mb.append((at, process.memory_info().rss / 2**20))
        course.fds.append((at, process.num_fds()))
        course.threads.append((at, process.num_threads()))
        if (tasks := _tasks(row.metrics_port)) is not None:
            course.tasks.append((at, tasks))


def _tasks(port: int | None) -> float | None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith("structured_prompt_loop_tasks")), None)


def _growth(name: str, course: Course) -> list[str]:
    found = []
    if (mine := slope(course.rss_mb)) >= MB_A_MINUTE:
        found.append(f"{name} grows by {mine:.2f} MB a minute")
    kinds = [what for what in ("fds", "threads", "tasks") if grows(getattr(course, what))]
    return found + [f"{name} has ever more {what}: {_ends(getattr(course, what))}" for what in kinds]


def _ends(points: Sequence[tuple[float, float]]) -> str:
    return f"{points[0][1]:.0f} -> {points[-1][1]:.0f}" if points else "not told"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=25)
    parser.add_argument("--settle", type=float, default=SETTLE_S, help="seconds before anything is measured")
    parser.add_argument("--rate", type=float, help="events a second; 70 %% of the most when absent")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack is stopped too
    with Running(Path(tempfile.mkdtemp(prefix="soak-")), "1,1,1", apis=1) as stack:
        result = soak(stack, arguments.minutes, arguments.rate, arguments.settle)
    print("\n".join([*result.lines, *(f"BROKEN: {one}" for one in result.violations)]))
    return 1 if result.violations else 0


if __name__ == "__main__":
    sys.exit(main())
