"""Whether a consumer still fetches: a client that hangs says nothing, its position just stops (rule S6)."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Any

import structlog

from domain.errors import Unavailable

LOOK_EVERY = 2.0
STANDSTILL = 10.0

log = structlog.get_logger("consumer")


@dataclass(slots=True)
class _Seen:
    position: int
    since: float


class Progress:
    """`stalled` is for how many seconds the worst partition has had records to fetch and fetched none."""

    def __init__(self) -> None:
        self._seen: dict[Hashable, _Seen] = {}
        self.stalled = 0.0

    def look(self, places: dict[Hashable, tuple[int, int]], now: float) -> float:
        """`places` maps each partition that may be fetched to its position and its end; gives `stalled`."""
        behind = {}
        for tp, (position, end) in places.items():
            if position >= end:
                continue
            seen = self._seen.get(tp)
            same = seen is not None and seen.position == position
            behind[tp] = seen if seen is not None and same else _Seen(position, now)
        self._seen = behind
        self.stalled = max((now - seen.since for seen in behind.values()), default=0.0)
        return self.stalled

    def excuse(self) -> None:
        """Begin anew: there was a reason that a restart would not mend."""
        self._seen.clear()
        self.stalled = 0.0


async def watch_consumer(app: Any, prefix: str, broker_answers: Callable[[], Awaitable[None]]) -> None:
    """Measure lag and progress every few seconds, until cancelled.

    A consumer that stands still is stuck only while the broker answers: a dead broker is waited for (rule S6).
    """
    while True:
        await asyncio.sleep(LOOK_EVERY)
        try:
            await _look(app, prefix)
            if app.progress.stalled > STANDSTILL:
                await broker_answers()
        except Unavailable:
            app.progress.excuse()
        except Exception as error:  # noqa: BLE001 - a rebalance in the middle of a look; the next one is soon
            log.warning("consumer_not_measured", reason=repr(error))


async def _look(app: Any, prefix: str) -> None:
    """Lag is what is not fetched yet plus what is delivered and not finished: the distance of offsets would count
    transaction markers, which are never delivered (rule S1)."""
    stage, consumer = app.stage, app.consumer
    stage.metrics.gauge("in_flight", len(stage.running), stage=stage.policy.name)
    fetchable: dict[Hashable, tuple[int, int]] = {}
    for tp in consumer.assignment():
        position, end = await consumer.position(tp), consumer.highwater(tp)
        if position is None or end is None:
            continue
        lag = max(0, end - position) + stage.lines.unfinished(tp)
        stage.metrics.gauge("consumer_lag", lag, topic=tp.topic.removeprefix(prefix), partition=str(tp.partition))
        if not stage.lines.held(tp):
            fetchable[tp] = (position, end)
    app.progress.look(fetchable, asyncio.get_running_loop().time())
