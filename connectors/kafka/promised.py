"""Partitions whose next batch must be exactly the one that was begun before. Pure, used on the consumer's thread.

Before a batch is handed out, its end in each partition is committed beside its start, as the offset's metadata. Whoever
gets the partition after a crash makes up the same batch from it: same first record, same last (docs/decisions/0030).
"""

from collections.abc import Iterable, Sequence

from domain.ports import Item
from domain.sinks.model import Place


class Promised:
    """Holds back the records of such a partition until its batch is whole, and what follows until it was taken."""

    def __init__(self) -> None:
        self._ends: dict[Place, int | None] = {}
        self._held: dict[Place, list[Item]] = {}
        self._out: set[Place] = set()

    def expect(self, places: Iterable[Place]) -> None:
        """They came just now: whether anything is promised is not known yet."""
        for place in places:
            self._ends[place] = None

    @property
    def unknown(self) -> list[Place]:
        return [place for place, end in self._ends.items() if end is None]

    def learn(self, place: Place, end: int) -> list[Item]:
        """The offset behind the promised batch, 0 where nothing is. Returns what may go into the next batch."""
        if place not in self._ends:
            return []
        self._ends[place] = end
        return self._release(place)

    def sift(self, items: Sequence[Item]) -> Sequence[Item]:
        """Of what was read: what may go into the next batch."""
        if not self._ends:
            return items
        passed, touched = [], set()
        for item in items:
            place = item.topic, item.partition
            if place in self._ends:
                self._held.setdefault(place, []).append(item)
                touched.add(place)
            else:
                passed.append(item)
        for place in touched:
            passed += self._release(place)
        return passed

    def taken(self) -> list[Item]:
        """A batch was taken. Returns what waited behind the promised ones."""
        following: list[Item] = []
        for place in self._out:
            following += self._held.pop(place, [])
            del self._ends[place]
        self._out.clear()
        return following

    def forget(self, places: Iterable[Place]) -> None:
        for place in places:
            self._ends.pop(place, None)
            self._held.pop(place, None)
            self._out.discard(place)

    def _release(self, place: Place) -> list[Item]:
        end, held = self._ends[place], self._held.get(place, [])
        if end is None or place in self._out:
            return []
        if end == 0 or (held and held[0].offset >= end):
            del self._ends[place]
            return self._held.pop(place, [])
        if not held or held[-1].offset < end - 1:
            return []
        self._out.add(place)
        self._held[place] = [item for item in held if item.offset >= end]
        return [item for item in held if item.offset < end]
