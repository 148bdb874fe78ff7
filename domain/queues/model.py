"""What a look at a tenant's queues sees. No I/O."""

from dataclasses import dataclass, field
from datetime import datetime

from topics.request import LANES


@dataclass(slots=True)
class Waits:
    """Requests that wait for one reason; the first is due at `next_due`, None where they wait for a place."""

    count: int
    next_due: datetime | None


@dataclass(slots=True)
class Queue:
    """A lane: handed on and not begun, in the hands of a worker, and waiting, by reason."""

    lane: str
    accepted: int = 0
    running: int = 0
    waits: dict[str, Waits] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        return sum(waits.count for waits in self.waits.values())

    @property
    def next_due(self) -> datetime | None:
        return min((waits.next_due for waits in self.waits.values() if waits.next_due is not None), default=None)


@dataclass(slots=True)
class QueueLook:
    """Every lane. `complete` False: a bound was reached, and there are at least so many."""

    queues: dict[str, Queue] = field(default_factory=lambda: {lane: Queue(lane) for lane in LANES})
    complete: bool = True
