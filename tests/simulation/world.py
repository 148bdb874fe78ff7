"""The world that a schedule runs in: operations under way, time, and the faults that strike."""

from collections import Counter
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, Protocol

from domain.errors import StructuredPromptError, Unavailable
from tests.simulation.clock import Clock, ProcessLoop, Timers
from tests.simulation.plan import Fault, Plan

OPERATION_FAULTS = {
    "refuse": frozenset({"ledger", "produce", "limiter"}),
    "lose": frozenset({"ledger", "produce", "limiter"}),
    "late": frozenset({"ledger", "produce"}),
    "part": frozenset({"produce"}),
    "slow": frozenset({"ledger", "produce", "limiter", "cache"}),
}
"""What kinds of operations they can strike; every other fault strikes the process or the world around it."""

PATIENCE = {"ledger": 8.0, "produce": 30.0, "limiter": 2.0, "cache": 1e9}
"""Seconds after which a client gives an operation up; what it still does is unknown then."""

LATER = 0.15  # how often an answer comes in a step of its own, after other effects
IMPATIENCE = 0.03  # how often the clock moves on while operations are under way


class Violation(AssertionError):
    """The line broke a promise."""


class Pending(Protocol):
    """Something that may happen next."""

    def act(self, world: "World") -> None: ...


class Operation:
    """A statement, a produce or a Redis call of a process: it takes effect once, and is answered then or later."""

    __slots__ = ("answered", "born", "effect", "future", "kind", "loop", "name", "part", "value")

    def __init__(self, kind: str, name: str, loop: ProcessLoop, effect: Callable[[], Any], born: float) -> None:
        self.kind, self.name, self.loop, self.effect, self.born = kind, name, loop, effect, born
        self.future = loop.create_future()
        self.part: Callable[[], Any] | None = None
        self.answered = False  # its effect is done, `value` waits to be delivered
        self.value: Any = None

    def act(self, world: "World") -> None:
        if self.answered:
            self._deliver(world)
            return
        if self.kind == "ledger" and world.ledger_is_away(self.loop):
            self.value = Unavailable(f"{self.name}: no connection")
            self._deliver(world)
            return
        fault = world.struck(self.name, self.kind, self.loop)
        if fault is not None:
            world.note(self.loop, f"{self.name} {fault.kind}")
            self._fail(world, fault)
            return
        world.note(self.loop, self.name)
        self.value = self._perform(self.effect)
        world.after(self.loop)
        if world.rng.random() < LATER:
            self.answered = True
            world.pending.append(self)
        else:
            self._deliver(world)

    def _fail(self, world: "World", fault: Fault) -> None:
        if fault.kind == "slow":
            self.value, self.answered = self._perform(self.effect), True
            late = min(fault.seconds, PATIENCE[self.kind] + 0.001)
            world.timers.after(late, world.pending.append, self)
            return
        if fault.kind == "lose":
            self._perform(self.effect)
        elif fault.kind == "part" and self.part is not None:
            self._perform(self.part)
        elif fault.kind == "late":
            # the server gives a statement up as well, and a producer its record
            world.timers.after(min(fault.seconds, PATIENCE[self.kind]), world.pending.append, Straggler(self))
        self.value = Unavailable(f"{self.name}: no answer")
        self._deliver(world)

    def _perform(self, effect: Callable[[], Any]) -> Any:
        try:
            return effect()
        except StructuredPromptError as error:
            return error

    def _deliver(self, world: "World") -> None:
        if self.loop.dead or self.future.done():
            return
        if world.clock.now - self.born > PATIENCE[self.kind]:
            self.future.set_exception(Unavailable(f"{self.name}: no answer in time"))
        elif isinstance(self.value, StructuredPromptError):
            self.future.set_exception(self.value)
        else:
            self.future.set_result(self.value)


class Straggler:
    """An operation whose caller has given it up, and which takes effect after all."""

    __slots__ = ("_operation",)

    def __init__(self, operation: Operation) -> None:
        self._operation = operation

    def act(self, world: "World") -> None:
        world.note(self._operation.loop, f"{self._operation.name} after all")
        self._operation._perform(self._operation.effect)


class World:
    """Time, what is under way, and the choices of the seed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = Random(plan.seed ^ 0x5EED)
        self.clock = Clock()
        self.timers = Timers(self.clock)
        self.pending: list[Pending] = []
        self.steps = 0
        self.trace: list[tuple[str, str]] = []
        self.moments: list[float] = []
        self.names: dict[ProcessLoop, str] = {}
        self.faults = list(plan.faults)
        self.strike: Callable[[Fault, ProcessLoop], None] = lambda fault, loop: None
        self.look: Callable[[], None] = lambda: None  # after each statement of the ledger
        self.runnable: list[ProcessLoop] = []
        self.finished: list[object] = []  # members that finished a delivery since the heads were looked at
        self._places = {fault.place for fault in self.faults}
        self._seen: Counter[str] = Counter()
        self._after: Fault | None = None
        self._away: dict[ProcessLoop | None, float] = {}
        self.broken: Violation | None = None

    def violated(self, how: str) -> Violation:
        """To be raised; kept as well, because the product catches whatever its handlers raise."""
        error = Violation(how)
        self.broken = self.broken or error
        return error

    def loop(self, name: str) -> ProcessLoop:
        def complain(text: str) -> None:
            self.violated(f"a task of {name} died silently: {text}")

        loop = ProcessLoop(self.clock, self.timers, self.runnable, complain)
        self.names[loop] = name
        return loop

    def note(self, loop: ProcessLoop | None, what: str) -> None:
        """A line of the schedule."""
        self.trace.append((self.names[loop] if loop is not None else "", what))
        self.moments.append(self.clock.now)

    def operate(self, kind: str, name: str, loop: ProcessLoop, effect: Callable[[], Any]) -> Operation:
        operation = Operation(kind, name, loop, effect, self.clock.now)
        self.pending.append(operation)
        return operation

    def lose(self, loop: ProcessLoop) -> None:
        """What a process sent never arrives."""
        self.pending[:] = [one for one in self.pending if not (isinstance(one, Operation) and one.loop is loop)]

    def run_ready(self) -> None:
        """Every process runs until it waits."""
        runnable = self.runnable
        while runnable:
            runnable.pop().run()

    def happen(self) -> None:
        """One of the things that may happen next, or the next moment."""
        pending = self.pending
        count = len(pending)
        if count and self.rng.random() >= IMPATIENCE:
            n = int(self.rng.random() * count)
            chosen, pending[n] = pending[n], pending[-1]
            pending.pop()
            chosen.act(self)
        elif not self.timers.advance() and not count:
            raise self.violated("nothing can ever happen again, and not everything is done")

    def struck(self, name: str, kind: str, loop: ProcessLoop) -> Fault | None:
        """What the plan has for this operation; what strikes something else than it does so now, or after it."""
        if not self.faults:
            return None
        place = "produce" if kind == "produce" else name
        seen = self._seen
        struck = None
        for fault in self.faults:
            if fault.place in (place, "any") and seen[fault.place] == fault.skip:
                if fault.kind not in OPERATION_FAULTS or kind in OPERATION_FAULTS[fault.kind]:
                    struck = fault
                break
        seen[place] += 1
        seen["any"] += 1
        if struck is None:
            return None
        self.faults.remove(struck)
        self._places = {fault.place for fault in self.faults}
        if struck.kind in OPERATION_FAULTS:
            return struck
        if struck.kind.endswith("after"):
            self._after = struck
        else:
            self.strike(struck, loop)
        return None

    def after(self, loop: ProcessLoop) -> None:
        """The effect is done, its answer is not heard yet."""
        fault, self._after = self._after, None
        if fault is not None:
            self.strike(fault, loop)

    def notices(self, name: str, loop: ProcessLoop) -> bool:
        """Whether it matters when an operation that everybody repeats all the time takes effect."""
        if name in self._places or "any" in self._places or self.ledger_is_away(loop):
            return True
        return self.rng.random() < 0.2

    def cut_off(self, loop: ProcessLoop | None, seconds: float) -> None:
        """The ledger is away for a process, or for all."""
        self._away[loop] = self.clock.now + seconds

    def ledger_is_away(self, loop: ProcessLoop) -> bool:
        away = self._away
        return bool(away) and max(away.get(loop, 0.0), away.get(None, 0.0)) > self.clock.now

    def story(self) -> str:
        """The schedule as it went."""
        lines = (f"{at:9.3f}  {who:<10} {what}" for at, (who, what) in zip(self.moments, self.trace, strict=True))
        return "\n".join(lines)


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """The answer of an in-memory twin, which never waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("an in-memory twin waited")
