"""Runs schedules, counts them, and makes a failing one small."""

import gc
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.simulation.line import ORDINARY, Simulation, silence
from tests.simulation.plan import Plan, plan, smaller
from tests.simulation.workers import Variant
from tests.simulation.world import Violation

COLLECT_EVERY = 100


@dataclass(slots=True)
class Failure:
    """A schedule that broke a promise; `small` is the least plan of the same seed that still does."""

    plan: Plan
    how: str
    story: str
    small: Plan

    def __str__(self) -> str:
        again = f"python -m tests.simulation --seed {self.plan.seed} --count 1"
        return f"{self.how}\n\nagain: {again}\n{self.plan}\n\nsmallest plan: {self.small!r}\n\n{self.story}"


@dataclass(slots=True)
class Report:
    """What ran: complete schedules, how many differ, the steps they took, and how often each fault struck."""

    schedules: int = 0
    steps: int = 0
    struck: Counter[str] = field(default_factory=Counter)
    failure: Failure | None = None
    _different: set[int] = field(default_factory=set)

    @property
    def different(self) -> int:
        return len(self._different)

    def add(self, simulation: Simulation) -> None:
        self.schedules += 1
        self.steps += simulation.world.steps
        self._different.add(hash(tuple(simulation.world.trace)))
        left = Counter(fault.kind for fault in simulation.world.faults)
        self.struck.update(Counter(fault.kind for fault in simulation.plan.faults) - left)


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
            for seed in seeds:
                simulation, error = run(plan(seed), variant)
                report.add(simulation)
                if error is not None:
                    report.failure = _failure(simulation, error, variant)
                    break
                if report.schedules % COLLECT_EVERY == 0:
                    gc.collect(0)  # only what is new: nothing older refers to it
    finally:
        if collects:
            gc.enable()
    return report


def _failure(simulation: Simulation, error: Violation, variant: Variant) -> Failure:
    small, story = simulation.plan, simulation.world.story()
    tried = smaller(small)
    while tried:
        candidate = tried.pop(0)
        again, still = run(candidate, variant)
        if still is not None:
            small, story = candidate, again.world.story()
            tried = smaller(small)
    return Failure(simulation.plan, str(error), story, small)
