"""What `structured-prompt up` takes to start, and while nobody asks: `python -m benchmarks.idle [--write]`.

The first start makes its data directory, the second finds it. What is idle is looked at half a minute after a start:
resident memory of all processes (pages that several share count for each, `PSS` divides them), and their CPU for 30 s.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TypeAlias

import psutil

from benchmarks.processes import Process
from benchmarks.report import Figure, table, write

RUNS = 3
Look: TypeAlias = tuple[float, float, float]
CALM_S, LOOKED_S = 30, 30


def main() -> None:
    cold: list[float] = []
    warm: list[float] = []
    looks: list[Look] = []
    for _ in range(RUNS):
        data = tempfile.mkdtemp(prefix="bench-idle-")
        try:
            cold.append(_life(data, _no_look)[0])
            seconds, look = _life(data, _look)
        finally:
            shutil.rmtree(data, ignore_errors=True)
        warm.append(seconds)
        looks.append(look)
    shown = table(
        [
            Figure("s until `up` is ready, a new data directory", cold, (), "≤ 20", 1),
            Figure("… one that was used before", warm, (), "≤ 12", 1),
            Figure("RSS of all processes, idle, MB", [look[0] for look in looks], (), "≤ 1,500"),
            Figure("… PSS", [look[1] for look in looks]),
            Figure("CPU of all processes, idle, % of a core", [look[2] for look in looks], (), "≤ 10", 1),
        ]
    )
    print(shown)
    if "--write" in sys.argv:
        write("idle", shown)


def _life(data: str, look: Callable[[Process], Look]) -> tuple[float, Look]:
    """Seconds until the stack was ready, and what was seen then."""
    began = time.perf_counter()
    up = Process("up", ["cli.main", "up", "--data", data])
    try:
        up.wait_line("ready http", 120)
        return time.perf_counter() - began, look(up)
    finally:
        up.stop()


def _no_look(_: Process) -> Look:
    return 0.0, 0.0, 0.0


def _look(up: Process) -> Look:
    """Megabytes of RSS and of PSS, percent of a core."""
    time.sleep(CALM_S)
    parent = psutil.Process(up.pid)
    memory = [one.memory_full_info() for one in (parent, *parent.children(recursive=True))]
    before = up.cpu
    time.sleep(LOOKED_S)
    busy = (up.cpu - before) / LOOKED_S * 100
    return sum(one.rss for one in memory) / 1e6, sum(one.pss for one in memory) / 1e6, busy


if __name__ == "__main__":
    main()
