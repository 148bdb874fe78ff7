"""Orderly stops, a rolling restart and a kill under load, with the times they take (rules S4 and L6)."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import psutil

from tests.chaos.breaker import Breaker
from tests.chaos.harness import Drill, Report, Say
from tests.chaos.plan import WORKERS, Fault, Plan
from tests.chaos.running import Running, wait_for

RATE: Final = 60
GRACE: Final = 30.0
PAUSE: Final = 5.0
RESUME: Final = 15.0


@dataclass(slots=True)
class Times:
    """Seconds: of each exit after SIGTERM; the longest silence of a rolling restart; until a killed worker's work
    went on, for what was sent after the kill."""

    exits: list[float] = field(default_factory=list)
    pause: float = 0.0
    resume: float = 0.0

    def late(self) -> list[str]:
        found = [f"an exit took {seconds:.1f} s" for seconds in self.exits if seconds > GRACE]
        found += [f"a rolling restart paused the results for {self.pause:.1f} s"] if self.pause > PAUSE else []
        return found + ([f"a kill delayed requests by {self.resume:.1f} s"] if self.resume > RESUME else [])


def _load(seed: int, seconds: float, form: str) -> Plan:
    return Plan(seed, form, int(RATE * seconds), seconds, (1_000, 300), ())


def orderly(stack: Running, count: int, told: Say = print) -> Report:
    """`count` times SIGTERM under load, to a worker of each stage at once: nothing lost, no finished call repeated."""
    times = Times()
    with Drill(stack, _load(count, 10.0 * count + 30, f"{count} orderly stops")) as drill, ThreadPoolExecutor() as both:
        time.sleep(3)
        for number in range((count + 1) // 2):
            names = [WORKERS[number % 3], WORKERS[3 + (number + 1) % 3]][: count - 2 * number]
            exits = list(both.map(lambda name: _stop(stack, name), names))
            told(
                f"  {drill.clock():6.1f} s  "
                + ", ".join(f"{n} in {s:.1f} s" for n, s in zip(names, exits, strict=True))
            )
            times.exits += exits
            for name in names:
                _await_running(stack, name)
            time.sleep(1)
        drill.load.stop()
        report = drill.report()
    report.violations += times.late()
    report.figures |= {"stops": len(times.exits), "slowest exit s": round(max(times.exits), 1)}
    told(str(report))
    return report


def rolling(stack: Running, told: Say = print) -> Report:
    """The three workers of infer, one after the other; the figure is the longest silence on prompt.results."""
    times = Times()
    with Drill(stack, _load(3, 180.0, "a rolling restart")) as drill:
        time.sleep(5)
        begun = drill.clock()
        for name in WORKERS[3:]:
            times.exits.append(_stop(stack, name))
            _await_running(stack, name)
            time.sleep(1)
        time.sleep(3)
        ended = drill.clock()
        times.pause = drill.run.witness.silence(begun, ended)
        drill.load.stop()
        report = drill.report()
    report.violations += times.late()
    report.figures |= {"restart s": round(ended - begun, 1), "pause s": round(times.pause, 1)}
    told(str(report))
    return report


def killed(stack: Running, told: Say = print) -> Report:
    """SIGKILL of one worker of infer under load; the figure is the longest that a request sent afterwards took."""
    times = Times()
    with Drill(stack, _load(1, 60.0, "a kill")) as drill:
        time.sleep(5)
        breaker = Breaker(stack, told)
        breaker.run([Fault(0.0, "kill", WORKERS[3])])
        breaker.wait()
        at = drill.clock()
        time.sleep(20)
        drill.load.stop()
        sent, produced = drill.load.sent_at.copy(), drill.run.witness.produced.copy()
        waits = [produced[id].at - when for id, when in sent.items() if at < when < at + 10 and id in produced]
        times.resume = max(waits)
        report = drill.report(breaker.in_flight)
    report.violations += times.late()
    report.figures |= {"resumed after s": round(times.resume, 1)}
    told(str(report))
    return report


def _stop(stack: Running, name: str) -> float:
    """Seconds until it was gone."""
    began = time.monotonic()
    pid = stack.signal(name, signal.SIGTERM)
    if wait_for(lambda: not psutil.pid_exists(pid), GRACE + 10) is None:
        return GRACE + 10
    return time.monotonic() - began


def _await_running(stack: Running, name: str) -> None:
    if wait_for(lambda: stack.running(name), 60) is None:
        raise RuntimeError(f"{name} does not come back after a stop")
