"""How far a consumer group is, by two looks at what the broker says of it. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.group import Place

State = Literal["well", "left", "stands", "grows"]
MANY = 100
"""Fewer that came are a moment's noise: members commit about once a second."""
KEEPS_UP = 0.7


@dataclass(frozen=True, slots=True)
class Offsets:
    """Of one partition: where the group's next record is, and the end of what may be read."""

    done: int
    end: int

    @property
    def lag(self) -> int:
        return max(0, self.end - self.done)


@dataclass(frozen=True, slots=True)
class Standing:
    """One look at a group: how many members it has, and how far it is in each partition of its topics."""

    members: int
    places: Mapping[Place, Offsets]

    @property
    def lag(self) -> int:
        """Events that are not worked on yet, or not to their end."""
        return sum(place.lag for place in self.places.values())


@dataclass(frozen=True, slots=True)
class Course:
    """Of a group between two looks: events that `came`, and that were `done`."""

    state: State
    lag: int
    came: int
    done: int


def course(before: Standing, after: Standing) -> Course:
    """`left`: nobody runs it; `stands`: it has events, and was done with none; `grows`: more come than are done.

    A partition that was not there before counts from its beginning.
    """
    known = {place: before.places.get(place, Offsets(now.done, now.done)) for place, now in after.places.items()}
    came = sum(now.end - known[place].end for place, now in after.places.items())
    done = sum(now.done - known[place].done for place, now in after.places.items())
    return Course(_state(before, after, came, done), after.lag, came, done)


def _state(before: Standing, after: Standing, came: int, done: int) -> State:
    if not before.members and not after.members:
        return "left"
    if before.lag and after.lag and done <= 0:
        return "stands"
    return "grows" if after.lag - before.lag >= MANY and done < came * KEEPS_UP else "well"
