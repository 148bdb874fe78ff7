"""Whether a consumer still reads what it was given (rule S6).

A client that hangs says nothing: its positions just stop, and with them what it knows of the ends of its partitions.
A member that the group lost believes that it has nothing to do. So both are held against what the broker says.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from domain.errors import Transient
from domain.group import GroupView, Place

LOOK_EVERY = 2.0
ASK_EVERY = 4.0

log = structlog.get_logger("consumer")


@dataclass(frozen=True, slots=True)
class Standing:
    """What a consumer knows of itself: its member id and the position of each partition that it reads, None before
    the first. `held` are partitions that it does not fetch on purpose."""

    member: str
    positions: Mapping[Place, int | None]
    held: frozenset[Place] = frozenset()


@dataclass(slots=True)
class Progress:
    """`stalled` is for how many seconds the consumer has been stuck, `reason` in what; 0 and "" while it is not.
    `excused_at` is when the broker was last away, in the same clock."""

    stalled: float = 0.0
    reason: str = ""
    excused_at: float = float("-inf")
    _behind: dict[Place, tuple[int | None, float]] = field(default_factory=dict)
    _lost_since: float | None = None

    def look(self, standing: Standing, view: GroupView, now: float) -> float:
        """Compare both; gives `stalled`."""
        self._behind = {
            place: self._since(place, position, now)
            for place, position in standing.positions.items()
            if place not in standing.held and (position or 0) < view.ends.get(place, 0)
        }
        lost = _lost(standing, view)
        if not lost:
            self._lost_since = None
        elif self._lost_since is None:
            self._lost_since = now
        waits = [
            (now - since, f"nothing is fetched of {topic}/{number}")
            for (topic, number), (_, since) in self._behind.items()
        ]
        if self._lost_since is not None:
            waits.append((now - self._lost_since, lost))
        self.stalled, self.reason = max(waits, default=(0.0, ""))
        return self.stalled

    def excuse(self, now: float) -> None:
        """Begin anew: there was a reason that a restart would not mend."""
        self._behind = {}
        self._lost_since = None
        self.stalled, self.reason, self.excused_at = 0.0, "", now

    def _since(self, place: Place, position: int | None, now: float) -> tuple[int | None, float]:
        seen = self._behind.get(place)
        return seen if seen is not None and seen[0] == position else (position, now)


def _lost(standing: Standing, view: GroupView) -> str:
    """Why the group and this member do not know each other any more, empty while they do."""
    if not view.stable:
        return ""
    given = view.members.get(standing.member)
    if given is not None and not given <= standing.positions.keys():
        return f"does not read {len(given - standing.positions.keys())} partitions that the group gave it"
    if not standing.positions and view.unread:
        return f"without partitions, while nobody reads {len(view.unread)} of them"
    if given is None and standing.positions:
        return "reads partitions, and the group does not know it"
    return ""


async def watch_consumer(app: Any, prefix: str, ask: Callable[[], Awaitable[GroupView]]) -> None:
    """Measure lag and progress every few seconds, until cancelled. `ask` is what the broker says of the group.

    A broker that does not answer is waited for (rule S6).
    """
    clock = asyncio.get_running_loop().time
    asked_at = float("-inf")
    ends: Mapping[Place, int] = {}
    while True:
        await asyncio.sleep(LOOK_EVERY)
        try:
            _measure(app, prefix, ends)
            if clock() - asked_at >= ASK_EVERY:
                view, asked_at = await ask(), clock()
                ends = view.ends
                app.progress.look(app.consumer.standing(), view, asked_at)
        except Transient as error:
            app.progress.excuse(clock())
            log.warning("broker_away", reason=str(error))
        except Exception as error:  # noqa: BLE001 - a rebalance in the middle of a look; the next one is soon
            log.warning("consumer_not_measured", reason=repr(error))


def _measure(app: Any, prefix: str, ends: Mapping[Place, int]) -> None:
    """Lag is what is not fetched yet plus what is delivered and not finished: the distance of offsets would count
    transaction markers, which are never delivered (rule S1). `ends` are the broker's: a consumer that hangs knows of
    no newer ones."""
    stage, consumer = app.stage, app.consumer
    stage.metrics.gauge("in_flight", len(stage.running), stage=stage.policy.name)
    for tp, position in consumer.standing().positions.items():
        if position is None:
            continue
        end = max(consumer.highwater(tp) or 0, ends.get(tp, 0))
        lag = max(0, end - position) + stage.lines.unfinished(tp)
        stage.metrics.gauge("consumer_lag", lag, topic=tp[0].removeprefix(prefix), partition=str(tp[1]))
