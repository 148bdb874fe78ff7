"""Carries out the faults of a plan, and counts what was in flight in what it killed."""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import psutil

from tests.chaos.plan import Fault
from tests.chaos.running import Running

IN_FLIGHT: Final = (
    "SELECT count(*) AS n FROM attempts a JOIN claims c USING (tenant, id, run) JOIN workers w USING (worker) "
    "WHERE w.incarnation = $1 AND a.outcome = 'started' AND c.state = 'dispatched'"
)
SLOW_S: Final = 0.5


class Breaker:
    """`told` gets one line a fault as it happens."""

    def __init__(self, stack: Running, told: Callable[[str], None]) -> None:
        self._stack = stack
        self._told = told
        self.in_flight = 0
        self.errors: list[str] = []
        self.killed = 0
        self._threads: list[threading.Thread] = []

    def run(self, faults: Sequence[Fault]) -> None:
        """Each fault at its moment, side by side where they overlap; `wait` for the last one's end."""
        begun = time.monotonic()
        for fault in faults:
            thread = threading.Thread(target=self._at, args=(begun + fault.at, fault), daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    def _at(self, moment: float, fault: Fault) -> None:
        try:
            time.sleep(max(0.0, moment - time.monotonic()))
            if fault.kind == "kill":
                self._kill(fault.target)
            elif fault.kind == "cut":
                self._told(f"cut {fault.target}")
                self._stack.faults.cut(fault.target)
            else:
                self._lasting(fault)
        except Exception as error:  # noqa: BLE001 - told by the harness: a fault that did not happen proves nothing
            self.errors.append(f"{fault}: {error!r}")

    def _lasting(self, fault: Fault) -> None:
        self._told(f"{fault.kind} {fault.target} for {fault.seconds:.0f} s")
        try:
            self._stack.faults.enter(fault.target, fault.kind, SLOW_S if fault.kind == "slow" else None)
            time.sleep(fault.seconds)
        finally:
            self._stack.faults.enter(fault.target, "pass")

    def _kill(self, name: str) -> None:
        """SIGKILL. A worker of infer is stopped first, so that its calls in flight can be counted."""
        pid = self._stack.wait_pid(name)
        held = self._held(name, pid) if name.startswith("worker-infer") else None
        os.kill(pid, signal.SIGKILL)
        self.killed += 1
        self._told(f"kill {name}" + (f", {held} calls in flight" if held is not None else ""))
        if name in ("kafka", "postgres"):
            time.sleep(0.5)
            self._stack.wait_pid(name)

    def _held(self, name: str, pid: int) -> int:
        os.kill(pid, signal.SIGSTOP)
        started = datetime.fromtimestamp(psutil.Process(pid).create_time(), UTC).strftime("%Y-%m-%dT%H:%M:%S")
        lines = [
            line for line in self._stack.log(name) if line.get("event") == "lease_started" and line["at"] >= started
        ]
        if not lines:
            return 0  # it was only just started again
        held = int(self._stack.ledger(IN_FLIGHT, lines[-1]["incarnation"])[0]["n"])
        self.in_flight += held
        return held
