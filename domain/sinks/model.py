"""Orders to a sink, and its reports. No I/O."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from domain.errors import InvalidRequest, Problem

Place = tuple[str, int]
"""(topic without the prefix, partition)."""
State = Literal["running", "waiting", "paused"]
STALE = timedelta(seconds=30)
"""A member that was not heard of for so long is gone."""
OPENING = "open"
"""The call with which a sink begins: before it has succeeded, its process reads nothing."""
_PLACE = re.compile(r"([a-z0-9._-]+)/(\d{1,6})")


@dataclass(frozen=True, slots=True)
class Rewind:
    """Carry again from a time on, or in some partitions from an offset on; `number` grows with each."""

    number: int
    since: datetime | None = None
    offsets: Mapping[Place, int] = field(default_factory=dict)

    def start(self, place: Place) -> datetime | int | None:
        """Where a partition continues; None where it goes on as it is."""
        return self.offsets.get(place) if self.since is None else self.since


@dataclass(frozen=True, slots=True)
class Orders:
    """What one sink is to do. `rewound` are the partitions that have followed `rewind` already."""

    paused_at: datetime | None = None
    rewind: Rewind | None = None
    rewound: frozenset[Place] = frozenset()

    def due(self, places: frozenset[Place]) -> dict[Place, datetime | int | None]:
        """Of the partitions `places`: where those continue that have not followed yet."""
        if self.rewind is None:
            return {}
        return {place: self.rewind.start(place) for place in places - self.rewound}


@dataclass(frozen=True, slots=True)
class Report:
    """One process of a sink. Counts are since its start.

    lag:        records on its topics that it has not made durable; while it opens, that the whole group has not
    oldest_at:  log time of the oldest record that it holds and that is not durable; None when it holds none
    detail:     what it waits for
    """

    sink: str
    member: str
    state: State
    lag: int = 0
    rows: int = 0
    refused: int = 0
    errors: int = 0
    oldest_at: datetime | None = None
    detail: str = ""

    @property
    def opening(self) -> bool:
        """Whether it reads nothing yet: `detail` begins with the call that it waits for."""
        return self.detail.startswith(f"{OPENING}: ")


@dataclass(frozen=True, slots=True)
class Heard:
    """A report, and when it came."""

    report: Report
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class SinkView:
    """A sink as operators see it; `members` are its processes, those that are gone included."""

    name: str
    orders: Orders
    members: tuple[Heard, ...] = ()

    def state(self, now: datetime) -> str:
        """paused, waiting (a process waits for its destination), running, or stopped (no process was heard of)."""
        alive = [one.report.state for one in self.members if now - one.seen_at < STALE]
        if self.orders.paused_at is not None:
            return "paused"
        if not alive:
            return "stopped"
        return "waiting" if "waiting" in alive else "running"

    def lag(self, now: datetime) -> int:
        """Of its processes together: those that open tell that of the whole group, each the same."""
        alive = self.alive(now)
        reading = [one.lag for one in alive if not one.opening]
        return sum(reading) if reading else max((one.lag for one in alive), default=0)

    def alive(self, now: datetime) -> list[Report]:
        """Heard last comes first: one that was replaced may seem alive beside the one that took its place."""
        members = sorted(self.members, key=lambda one: one.seen_at, reverse=True)
        return [one.report for one in members if now - one.seen_at < STALE]


def place_text(place: Place) -> str:
    """`prompt.results/3`."""
    return f"{place[0]}/{place[1]}"


def parse_place(text: str) -> Place:
    """The inverse. Raises InvalidRequest."""
    found = _PLACE.fullmatch(text)
    if found is None:
        reason = Problem("/offsets", f"{text!r} is no partition; write it as prompt.results/3")
        raise InvalidRequest("invalid_request", reason.message, (reason,))
    return found[1], int(found[2])
