"""Runs schedules, counts them, and makes a failing one small."""

import gc
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from tests.simulation.line import ORDINARY, Simulation, silence
from tests.simulation.plan import Plan, plan
from tests.simulation.shrink import smallest
from tests.simulation.workers import Variant
from tests.simulation.world import Violation

SEEDS_AT_ONCE = 500
COLLECT_EVERY = 2  # schedules: what they leave behind is 2 MB each, more than a core keeps near


@dataclass(frozen=True, slots=True)
class Failure:
    """A schedule that broke a promise, and how."""

    plan: Plan
    how: str
    variant: Variant

    def explained(self) -> str:
        """How to see it again, and the story of the least plan that still breaks a promise. Takes some seconds."""
        with silence():
            small = smallest(self.plan, lambda candidate: run(candidate, self.variant)[1] is not None)
            again, how = run(small, self.variant)
        command = f"python -m tests.simulation --seed {self.plan.seed} --count 1"
        least = f"smallest plan: {small!r}\n{how}"
        return f"{self.how}\n\nagain: {command}\n{self.plan}\n\n{least}\n\n{again.world.story()}"


@dataclass(slots=True)
class Report:
    """What ran: complete schedules, how many differ, the steps they took, and how often each fault struck."""

    schedules: int = 0
    steps: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    failure: Failure | None = None
    _different: set[bytes] = field(default_factory=set)

    @property
    def different(self) -> int:
        return len(self._different)

    def add(self, simulation: Simulation) -> None:
        self.schedules += 1
        self.steps += simulation.world.steps
        self._different.add(hashlib.blake2b(repr(simulation.world.trace).encode(), digest_size=8).digest())
        left = Counter(fault.kind for fault in simulation.world.faults)
        self.struck.update(Counter(fault.kind for fault in simulation.plan.faults) - left)

    def include(self, other: "Report") -> None:
        """Add what another process ran."""
        self.schedules += other.schedules
        self.steps += other.steps
        self.struck.update(other.struck)
        self._different |= other._different
        self.failure = self.failure or other.failure


def run(plan: Plan, variant: Variant = ORDINARY) -> tuple[Simulation, Violation | None]:
    """One schedule, and how it broke a promise."""
    simulation = Simulation(plan, variant)
    try:
        simulation.run()
    except Violation as error:
        return simulation, error
    return simulation, None


def run_seeds(seeds: Iterable[int], variant: Variant = ORDINARY) -> Report:
    """The schedules of these seeds, until one fails."""
    report = Report()
    collects = gc.isenabled()
    gc.disable()  # what a schedule leaves behind is collected between schedules: its order is part of no schedule
    try:
        with silence():
            for n, seed in enumerate(seeds):
                simulation, error = run(plan(seed), variant)
                report.add(simulation)
                if error is not None:
                    report.failure = Failure(simulation.plan, str(error), variant)
                    break
                del simulation
                if n % COLLECT_EVERY == 0:
                    gc.collect(0)  # only what is new: nothing older refers to it
    finally:
        if collects:
            gc.enable()
    return report


def run_in_processes(seeds: Sequence[int], variant: Variant, processes: int) -> Report:
    """The same, spread over processes; the failure of the least seed is the one that is told."""
    report = Report()
    parts = [seeds[start : start + SEEDS_AT_ONCE] for start in range(0, len(seeds), SEEDS_AT_ONCE)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for part in pool.map(run_seeds, parts, [variant] * len(parts)):
            report.include(part)
            if report.failure is not None:
                pool.shutdown(cancel_futures=True)
                break
    return report
