"""The batch that is being read while those before it are written. Pure bookkeeping, used on the consumer's thread."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from domain.ports import Item
from domain.sinks.model import Place


@dataclass(frozen=True, slots=True)
class Bounds:
    """A batch ends with `rows` records, or `size` bytes of values, or `seconds` after its first record.

    `ahead` is how much of the next one is read while others are written: with one of those one and a half are in memory
    at a time, and a sink may copy one.
    """

    rows: int = 10_000
    size: int = 8 * 1024 * 1024
    seconds: float = 1.0
    ahead: float = 0.5


BOUNDS = Bounds()
LARGE = 512 * 1024
"""Bytes that a record may have before one was seen: a hundred of the largest would be twelve batches."""


@dataclass(slots=True)
class _Handed:
    """A batch that was handed out and is not finished, with the partitions that left since."""

    batch: Sequence[Item]
    starts: dict[Place, int]
    lost: set[Place] = field(default_factory=set)


class ReadAhead:
    """Items that were read and not handed out; of the batches handed out what they are of, until they are finished."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._items: list[Item] = []
        self._size = 0
        self._usual = LARGE
        # by identity: a batch is finished once, however often it is told
        self._handed: dict[int, _Handed] = {}
        self.due = math.inf
        """The monotonic time at which the batch ends though it is not full."""

    @property
    def full(self) -> bool:
        return len(self._items) >= self._bounds.rows or self._size >= self._bounds.size

    @property
    def far_enough(self) -> bool:
        """While another is written."""
        part, bounds = self._bounds.ahead, self._bounds
        return len(self._items) >= part * bounds.rows or self._size >= part * bounds.size

    @property
    def room(self) -> int:
        """Rows until it is full, at most, where those that come are as large as those that came last."""
        rows, size = self._bounds.rows - len(self._items), self._bounds.size - self._size
        return max(1, min(rows, size // self._usual))

    def add(self, items: Sequence[Item], now: float) -> None:
        """`items` were read at `now`, in the order of their partitions."""
        if items and not self._items:
            self.due = now + self._bounds.seconds
        size = sum([len(item.value) for item in items])
        self._items += items
        self._size += size
        if items:
            self._usual = max(1, size // len(items))

    def revoke(self, places: Iterable[Place]) -> None:
        """Partitions that left: their items are dropped, and no batch handed out may commit them any more.

        A partition that comes back is read again from its committed offset.
        """
        gone = set(places)
        for handed in self._handed.values():
            handed.lost |= gone
        self._keep([item for item in self._items if (item.topic, item.partition) not in gone])

    def take(self) -> list[Item]:
        """The next batch. It is known as the list that it is until it is finished."""
        taken = self._items
        if taken:
            self._handed[id(taken)] = _Handed(taken, _starts(taken))
        self._keep([])
        return taken

    def ends(self, batch: Sequence[Item]) -> dict[Place, int]:
        """The offset after the last item of each partition that `batch` has not lost; none when it is finished."""
        handed = self._handed.get(id(batch))
        if handed is None:
            return {}
        last = {(item.topic, item.partition): item.offset for item in batch}
        return {place: offset + 1 for place, offset in last.items() if place not in handed.lost}

    def finish(self, batch: Sequence[Item]) -> dict[Place, int]:
        """The same, of a batch that is durable where it goes: those handed out before it are finished."""
        ends = self.ends(batch)
        self._handed.pop(id(batch), None)
        return ends

    def starts(self) -> dict[Place, int]:
        """The first offset of each partition that was read and not handed out."""
        return _starts(self._items)

    def unfinished(self) -> dict[Place, int]:
        """The first offset of each partition that was read, and is not finished."""
        first = self.starts()
        for handed in reversed(self._handed.values()):
            first |= {place: offset for place, offset in handed.starts.items() if place not in handed.lost}
        return first

    def _keep(self, items: list[Item]) -> None:
        self._items = items
        self._size = sum([len(item.value) for item in items])
        if not items:
            self.due = math.inf


def _starts(items: Sequence[Item]) -> dict[Place, int]:
    return {(item.topic, item.partition): item.offset for item in reversed(items)}
