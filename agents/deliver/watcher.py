"""Beside the runner: tells how the sink is doing, and does what operators ask of it."""

import asyncio

import structlog

from agents.deliver.condition import Condition
from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import BatchSource, SinkBoard
from domain.sinks.model import Orders, Place, Report, State
from topics.base import format_time

EVERY_S = 2.0
READ = "read"
UNKNOWN = "whether it is paused is not known yet: PostgreSQL has not answered"
log = structlog.get_logger("deliver")


class Watcher:
    """For one process of the sink `name`; `member` tells it from the others.

    Until it has heard of the orders once, the runner carries nothing. While PostgreSQL is away the last ones hold.
    """

    def __init__(
        self, name: str, member: str, source: BatchSource, board: SinkBoard, condition: Condition, metrics: Metrics
    ) -> None:
        self._name, self._member = name, member
        self._source = source
        self._board = board
        self._condition = condition
        self._metrics = metrics
        self._measured: set[Place] = set()
        self._is_troubled = False
        condition.hold(UNKNOWN, ready=False)

    async def keep(self, every_s: float = EVERY_S) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(every_s)

    async def look(self) -> None:
        """One turn. What does not answer is asked again the next time."""
        lag = await self._lag()
        self._tell(await self._source.trouble())
        try:
            orders = await self._board.tell(self._report(sum(lag.values())))
            self._pause(orders)
            await self._replay(orders, frozenset(lag))
        except Transient as error:
            log.warning("orders_unknown", sink=self._name, reason=str(error))

    async def _lag(self) -> dict[Place, int]:
        """While the broker is away the gauges keep their last values."""
        try:
            lag = await (self._source.unread() if self._condition.opening else self._source.lag())
        except Transient:
            self._measure({})
            return {}
        # what it does not read, or not any more, is told by whoever does
        self._measure(dict.fromkeys(self._measured, 0) | lag)
        return lag

    def _tell(self, trouble: str | None) -> None:
        """What is not there to be read is told like a destination that is away."""
        if trouble is not None:
            self._condition.troubled(READ, f"{READ}: {trouble}")
        elif self._is_troubled:
            self._condition.well(READ)
        self._is_troubled = trouble is not None

    def left(self) -> None:
        """Nothing is read here any more, while the process goes on: no lag of it stays."""
        self._condition.tally.in_hand.clear()
        self._measure(dict.fromkeys(self._measured, 0))

    def _measure(self, lag: dict[Place, int]) -> None:
        self._measured |= lag.keys()
        for (topic, partition), records in lag.items():
            self._metrics.gauge("consumer_lag", records, topic=topic, partition=str(partition))
        oldest = self._condition.tally.oldest_at
        age = 0.0 if oldest is None else (self._condition.now() - oldest).total_seconds()
        self._metrics.gauge("sink_oldest_seconds", age, sink=self._name)
        self._metrics.gauge("sink_waiting_seconds", self._condition.waiting_s, sink=self._name)
        self._metrics.gauge("sink_paused", float(self._condition.paused), sink=self._name)

    def _report(self, lag: int) -> Report:
        tally, trouble = self._condition.tally, self._condition.trouble
        # before the orders are known it is held, and no operator has paused it
        held = self._condition.held and not self._condition.opening
        state: State = "paused" if held else "running" if trouble is None else "waiting"
        counts = lag, tally.rows, tally.refused, tally.errors
        return Report(self._name, self._member, state, *counts, tally.oldest_at, trouble or "")

    def _pause(self, orders: Orders) -> None:
        if orders.paused_at is not None:
            self._condition.hold(f"paused by an operator since {format_time(orders.paused_at)}")
        elif self._condition.held:
            self._condition.go_on()

    async def _replay(self, orders: Orders, places: frozenset[Place]) -> None:
        """Partitions follow one by one, whoever reads them now; one that did not is asked again after its move."""
        due = orders.due(places)
        if orders.rewind is None or not due:
            return
        done = await self._source.rewind({place: start for place, start in due.items() if start is not None})
        followed = done | {place for place, start in due.items() if start is None}
        await self._board.rewound(self._name, orders.rewind.number, followed)
        if done:
            log.info("replays", sink=self._name, replay=orders.rewind.number, partitions=len(done))
