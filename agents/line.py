"""Who is finished in which order: the bookkeeping behind acknowledgements (rules S2 and S3). Pure, no Faust.

An offset may be committed only when everything before it is finished too. So each assigned partition has a line of
deliveries in the order they came; what is acknowledged is the finished head of the line. Finished is recorded for a
delivery, not for an offset: a partition that left and came back brings the same offsets as new deliveries.
"""

from collections import deque
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

MAX_EVENTS: Final = 1_000
MAX_BYTES: Final = 16 * 1024 * 1024
MAX_WAITING: Final = 250
"""Records that nobody works on yet: each costs 3 KB in Faust's buffer, and a fetch brings 500 more in time."""


@dataclass(slots=True, eq=False)
class Delivery:
    """One record as it was delivered. `generation` is the assignment it came under, `timestamp` seconds since 1970."""

    tp: Hashable
    topic: str
    partition: int
    offset: int
    generation: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: float
    finished: bool = field(default=False, init=False)

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.value or b"") + len(self.key or b"")


@dataclass(slots=True)
class Line:
    """The unacknowledged deliveries of one partition in one assignment."""

    generation: int
    queue: deque[Delivery] = field(default_factory=deque)
    head: int | None = None  # the next offset to commit


@dataclass(slots=True)
class Load:
    """What of one partition was fetched and is not acknowledged, in Faust's buffer or in the line.

    `waiting` are those of its events that were not handed to the handler yet.
    """

    events: int = 0
    waiting: int = 0
    bytes: int = 0
    held: bool = False

    @property
    def full(self) -> bool:
        return self.events >= MAX_EVENTS or self.waiting >= MAX_WAITING or self.bytes >= MAX_BYTES

    @property
    def roomy(self) -> bool:
        """Half empty again: resuming earlier would hold again at once."""
        few = self.events <= MAX_EVENTS // 2 and self.waiting <= MAX_WAITING // 2
        return few and self.bytes <= MAX_BYTES // 2

    def may_resume(self) -> bool:
        """True once when it was held and is roomy again."""
        if self.held and self.roomy:
            self.held = False
            return True
        return False


class Lines:
    """The lines of all assigned partitions."""

    def __init__(self) -> None:
        self._lines: dict[Hashable, Line] = {}
        self._loads: dict[Hashable, Load] = {}

    def fetched(self, tp: Hashable, size: int) -> bool:
        """Count a record as it leaves the fetcher, before Faust buffers it; True when its partition must be held."""
        load = self._loads.get(tp)
        if load is None:
            load = self._loads[tp] = Load()
        load.events += 1
        load.waiting += 1
        load.bytes += size
        if load.full and not load.held:
            load.held = True
            return True
        return False

    def add(self, delivery: Delivery) -> None:
        """Append to its partition's line."""
        line = self._lines.get(delivery.tp)
        if line is None or line.generation != delivery.generation or self._rewound(line, delivery):
            if line is not None:
                self._loads.pop(delivery.tp, None)  # what it counted will not be finished in this line
            line = self._lines[delivery.tp] = Line(delivery.generation)
        line.queue.append(delivery)

    def began(self, delivery: Delivery) -> bool:
        """Count it as handed to the handler; True when its held partition may resume."""
        load = self._loads.get(delivery.tp)
        if load is None:
            return False
        load.waiting = max(0, load.waiting - 1)  # one of before a rewind is not counted any more
        return load.may_resume()

    def finish(self, delivery: Delivery) -> bool:
        """Mark as finished and advance the head; True when its held partition may resume.

        A delivery of an assignment that ended is ignored: whoever has the partition now is served it again.
        """
        delivery.finished = True
        line = self._lines.get(delivery.tp)
        if line is None or line.generation != delivery.generation:
            return False
        queue, load = line.queue, self._loads.get(delivery.tp) or Load()
        while queue and queue[0].finished:
            done = queue.popleft()
            load.events -= 1
            load.bytes -= done.size
            line.head = done.offset + 1
        return load.may_resume()

    def revoke(self, partitions: Iterable[Hashable]) -> None:
        """Forget partitions that left. Their calls go on, settle and produce; only the acknowledgement is not ours."""
        for tp in partitions:
            self._lines.pop(tp, None)
            self._loads.pop(tp, None)

    def owns(self, delivery: Delivery) -> bool:
        """Whether its partition is still assigned as it was when the record came."""
        line = self._lines.get(delivery.tp)
        return line is not None and line.generation == delivery.generation

    def head(self, tp: Hashable) -> int | None:
        """The next offset to commit, None when nothing is finished yet."""
        line = self._lines.get(tp)
        return line.head if line else None

    def partitions(self) -> list[Hashable]:
        return list(self._lines)

    def held(self, tp: Hashable) -> bool:
        """Whether its run-ahead is full, so that nothing more of it is fetched."""
        load = self._loads.get(tp)
        return load is not None and load.held

    def unfinished(self, tp: Hashable) -> int:
        """Records fetched and not acknowledged, finished ones behind a slow head included."""
        load = self._loads.get(tp)
        return load.events if load else 0

    @staticmethod
    def _rewound(line: Line, delivery: Delivery) -> bool:
        # the consumer went back without a new assignment (a seek after a suspended flow)
        last = line.queue[-1].offset if line.queue else (line.head or 0) - 1
        return delivery.offset <= last
