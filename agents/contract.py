"""What a stage asks of its handler, and how it behaves.

Two forms of handler:
- each:   `handle(delivery)` for one delivery, up to `slots` of them at once;
- batch:  `handle_batch(deliveries)`, naturally batched: the next batch is what arrived while the last one ran.
A handler raises Transient when a dependency is away (it is tried again), NotForUs for a record of a newer writer
(its partition waits for a newer worker), and anything else for a fault of ours: then `bury` must make a dead letter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from agents.line import Delivery
from domain.errors import StructuredPromptError


class NotForUs(StructuredPromptError):
    """A record says that an older reader must not read it (rule S7)."""


class Outside:
    """Counts deliveries that only wait for somebody else, a provider's answer. `more` is called as one begins to."""

    def __init__(self) -> None:
        self.count = 0
        self.more: Callable[[], None] = _nothing

    def __enter__(self) -> None:
        self.count += 1
        self.more()

    def __exit__(self, *_: object) -> None:
        self.count -= 1


def _nothing() -> None:
    """Nobody wants to begin."""


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
    task_limit:  a delivery in the hands of its handler for longer is stuck.
    inside:      deliveries at once that do not wait for somebody else. More of them would only wait for each other,
                 at 40 KB each: a fast provider is served faster by fewer.
    """

    name: str
    batch: int = 500
    inside: int = 400
    drain: float = 25.0
    fault_limit: int = 25
    fault_window: float = 60.0
    task_limit: float = 3_900.0

    def with_drain(self, seconds: float) -> "Policy":
        return replace(self, drain=seconds)
