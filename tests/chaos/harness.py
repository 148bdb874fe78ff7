"""One run of a plan: load and faults side by side, the oracle during them and after them."""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from tests.chaos import oracle, reading
from tests.chaos.breaker import Breaker
from tests.chaos.load import Load
from tests.chaos.plan import Plan
from tests.chaos.running import ReadError, Running, wait_for
from tests.chaos.witness import Clock, Witness

LOOK_EVERY: Final = 3.0
SINK_WITHIN: Final = 60.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """What came of one run: its figures, and what did not hold."""

    plan: Plan
    figures: dict[str, int | float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not self.violations

    def __str__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in self.figures.items())
        verdict = "held" if self.held else "BROKEN:\n  " + "\n  ".join(self.violations)
        return f"{self.plan.form} seed {self.plan.seed}: {figures}\n{verdict}"


class Drill:
    """The load of a plan under the oracle's eyes; whoever runs it breaks things meanwhile, then asks for the report."""

    def __init__(self, stack: Running, plan: Plan) -> None:
        self.stack, self.plan, self.clock = stack, plan, Clock()
        prefix = f"c{plan.seed}-{secrets.token_hex(3)}"
        stack.control("DELETE")
        stack.control("POST", latency_ms={"mean": plan.latency[0], "jitter": plan.latency[1]})
        broker = stack.env["KAFKA_BOOTSTRAP_SERVERS"]
        self.load = Load(broker, stack.env["API_URLS"].split(","), stack.env["API_KEY"])
        witness = Witness(broker, prefix, self.clock)
        self.run = reading.Run(stack, prefix, list(plan.requests(prefix)), self.load, witness)
        self._watch = _Watch(self.run)
        self._sending = threading.Thread(target=self._send, daemon=True)
        self._unsent: Exception | None = None

    def __enter__(self) -> Self:
        self.clock.start()
        self._watch.start()
        self._sending.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.load.stop()
        self._watch.stop()
        self.run.witness.close()

    def _send(self) -> None:
        try:
            self.load.run(self.run.requests)
        except Exception as error:  # noqa: BLE001 - told by `report`
            self._unsent = error

    def report(self, in_flight: int = 0) -> Report:
        """Wait until nothing moves, then judge. Raises ReadError when something could not be sent or read."""
        self._sending.join()
        if self._unsent is not None:
            raise ReadError(f"the load could not be sent: {self._unsent!r}") from self._unsent
        self.run.in_flight = in_flight
        restless = reading.wait_quiet(self.run, self.plan.patience)
        drained = self.clock()
        if not restless:
            wait_for(lambda: reading.sink_caught_up(self.run), SINK_WITHIN, every=1.0)
        self._watch.stop()
        self._watch.check()
        seen = reading.afterwards(self.run)
        report = Report(self.plan, _figures(seen, drained), list(self._watch.violations))
        report.violations += [f"not at rest after {self.plan.patience:.0f} s: {restless}"] if restless else []
        report.violations += oracle.judge(seen)
        return report


def run(stack: Running, plan: Plan, told: Say = print) -> Report:
    """Carry out `plan` on a running stack. Raises ReadError when the oracle could not read: that is never a pass."""
    told(str(plan))
    with Drill(stack, plan) as drill:
        breaker = Breaker(stack, lambda line: told(f"  {drill.clock():6.1f} s  {line}"))
        breaker.run(plan.faults)
        breaker.wait()
        report = drill.report(breaker.in_flight)
    sending = drill.plan.seconds
    report.figures |= {"kills": breaker.killed, "longest silence s": round(drill.run.witness.silence(0, sending), 1)}
    report.violations += breaker.errors
    told(str(report))
    return report


class _Watch:
    """The oracle in the middle of the faults."""

    def __init__(self, run: reading.Run) -> None:
        self._run = run
        self.violations: list[str] = []
        self._error: Exception | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(60)

    def check(self) -> None:
        """Raises ReadError when a look could not read."""
        if self._error is not None:
            raise ReadError(f"the oracle could not look: {self._error!r}") from self._error

    def _look(self) -> None:
        try:
            while not self._ended.wait(LOOK_EVERY):
                self._run.witness.check()
                found = [f"during the faults: {one}" for one in oracle.judge(reading.now(self._run), oracle.ALWAYS)]
                self.violations += [one for one in found if one not in self.violations]
        except Exception as error:  # noqa: BLE001 - told by `check`
            self._error = error


def _figures(seen: oracle.Seen, drained: float) -> dict[str, int | float]:
    outcomes = [attempt.outcome for rows in seen.attempts.values() for attempt in rows]
    states = list(seen.states.values())
    return {
        "accepted": len(seen.accepted),
        "lost": len([id for id in seen.accepted if id not in seen.results]),
        **{state: states.count(state) for state in ("completed", "failed", "rejected")},
        "produced twice": sum(len(values) > 1 for values in seen.results.values()),
        "double rows": sum(count - 1 for count in seen.rows.values()),
        "calls": sum(bill.calls for bill in seen.bills.values()),
        "calls repeated": oracle.repeated(seen),
        "in flight at the kills": seen.in_flight,
        "unknown attempts": sum(outcome in oracle.UNKNOWN for outcome in outcomes),
        "called twice in fail mode": sum(seen.bill(id).calls > 1 for id in seen.never_twice),
        "quiet after s": round(drained, 1),
    }
