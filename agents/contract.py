"""What a stage asks of its handler, and how it behaves.

Two forms of handler:
- each:   `handle(delivery)` for one delivery, up to `slots` of them at once;
- batch:  `handle_batch(deliveries)`, naturally batched: the next batch is what arrived while the last one ran.
A handler raises Transient when a dependency is away (it is tried again), NotForUs for a record of a newer writer
(its partition waits for a newer worker), and anything else for a fault of ours: then `bury` must make a dead letter.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from agents.line import Delivery
from domain.errors import StructuredPromptError

PATIENCE = 0.02
PROOF = 0.7
"""For so long it counts as ours to wait for the proof that a provider has no limit: whoever began meanwhile would call
it in the same moment, and be answered in the same."""


class NotForUs(StructuredPromptError):
    """A record says that an older reader must not read it (rule S7)."""


class Outside:
    """Counts deliveries that have waited for somebody else, a provider's answer, for 20 ms and longer (PROOF where it
    has to be proven that it may be called).

    A provider that answers sooner frees nothing: its answers only wait for us. `more` is called as the count grows.
    """

    def __init__(self) -> None:
        self.count = 0
        self.more: Callable[[], None] = _nothing
        self.due: dict[Wait, float] = {}
        self._waits: dict[float, deque[Wait]] = {PATIENCE: deque(), PROOF: deque()}
        self._timer: asyncio.TimerHandle | None = None

    def wait(self, limit: float, patience: float = PATIENCE) -> "Wait":
        """A context around the waiting of one delivery, which whoever it waits for ends within `limit` seconds. It
        counts after `patience`, PATIENCE or PROOF."""
        loop = asyncio.get_running_loop()
        wait = Wait(self, loop.time(), limit)
        self._waits[patience].append(wait)
        if self._timer is None:
            self._timer = loop.call_later(PATIENCE, self._look, loop)
        return wait

    def late(self, now: float) -> float:
        """By how many seconds a wait is over its limit, by the event loop's clock; not above 0 when none is."""
        return now - min(self.due.values()) if self.due else 0.0

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count those that wait by now."""
        before, now = self.count, loop.time()
        for patience, waits in self._waits.items():
            while waits and (waits[0].over or waits[0].since <= now - patience):
                waits.popleft().begin_to_count()
        self._timer = loop.call_later(PATIENCE, self._look, loop) if any(self._waits.values()) else None
        if self.count > before:
            self.more()


class Wait:
    """One delivery that waits outside, from `since` on, of the event loop's clock, for `limit` seconds at most."""

    __slots__ = ("_limit", "_outside", "counts", "over", "since")

    def __init__(self, outside: Outside, since: float, limit: float) -> None:
        self._outside = outside
        self._limit = limit
        self.since = since
        self.counts = False
        self.over = False

    def begin_to_count(self) -> None:
        """Unless it is over already."""
        if not self.over:
            self.counts = True
            self._outside.count += 1
            self._outside.due[self] = self.since + self._limit

    def __enter__(self) -> None:
        """It waits since it was made."""

    def __exit__(self, *_: object) -> None:
        self.over = True
        if self.counts:
            self._outside.count -= 1
            del self._outside.due[self]


def _nothing() -> None:
    """Nobody wants to begin."""


class Feed(Protocol):
    """What a stage asks of its sources."""

    stage: Any
    used_at: float
    """When something came last, by the monotonic clock."""
    tasks: set[asyncio.Task[None]]
    """Deliveries that have begun; batches, where it hands out those."""

    def begin(self) -> None:
        """Start what may start."""
        ...

    def late(self, now: float) -> float:
        """By how many seconds a wait for somebody else is over its own time; not above 0 when none is."""
        ...

    def forget(self, gone: Callable[[Delivery], bool]) -> None:
        """Drop what has not begun and is not ours any more."""
        ...


class Each(Protocol):
    """Works on one delivery; returns when everything that follows from it is durable."""

    outside: Outside

    async def handle(self, delivery: Delivery) -> None: ...

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        """Make a dead letter of it, durably. Raises when that is not possible."""
        ...


class Batch(Protocol):
    """Works on several deliveries at once; the same promises as Each."""

    async def handle_batch(self, batch: Sequence[Delivery]) -> None: ...

    async def bury(self, delivery: Delivery, error: Exception) -> None: ...


@dataclass(frozen=True, slots=True)
class Policy:
    """How a stage behaves. Seconds, unless said otherwise.

    fault_limit: faults of our own within `fault_window` after which the stage halts instead of burying more (S6).
    task_limit:  a delivery in the hands of its handler for longer is late, unless a dependency was away meanwhile.
    inside:      deliveries at once that do not wait for somebody else. Fewer make smaller batches, and the broker takes
                 twice the CPU an event; more only wait for each other, at 40 KB each.
    crowded:     the same beside a better lane that is in use, and in a flood beside a tenant whose events come singly.
    """

    name: str
    batch: int = 500
    inside: int = 400
    crowded: int = 50
    drain: float = 25.0
    fault_limit: int = 25
    fault_window: float = 60.0
    task_limit: float = 3_900.0

    def with_drain(self, seconds: float) -> "Policy":
        return replace(self, drain=seconds)

    def with_task_limit(self, seconds: float) -> "Policy":
        return replace(self, task_limit=seconds)
