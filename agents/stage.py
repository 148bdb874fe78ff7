"""Read -> handle -> acknowledge, losing nothing (rules S1 to S7): what the sources of one consumer group share.

A plain Faust agent acknowledges an event when its body moves on, whatever became of the work; under concurrency it
commits past events still in flight, and an exception acknowledges what it failed on. Here a delivery is finished only
when its handler returned, which it does only when everything that follows from it is durable; the offset of a
partition is committed up to its finished head (agents/line.py).
The events come in by agents/source.py; what a handler promises stands in agents/contract.py.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from agents.contract import Feed, Policy
from agents.line import Delivery, Lines
from domain.metrics import Metrics

log = structlog.get_logger("stage")


class Stage:
    """The sources of one consumer group, their lines, and the state that health and acknowledgements come from."""

    def __init__(self, policy: Policy, sources: Sequence[Feed], metrics: Metrics) -> None:
        self.policy = policy
        self.sources = sources
        self.metrics = metrics
        self.lines = Lines()
        self.draining = False
        self.halted: str | None = None
        self.when_stuck: Callable[[str], None] = _nobody
        self.running: dict[Delivery, float] = {}
        self.waited_at = float("-inf")
        self._faults: deque[float] = deque(maxlen=policy.fault_limit)
        self._consumer: Callable[[], Any] = lambda: None
        self._idle = asyncio.Event()
        self._over = asyncio.Event()
        for source in sources:
            source.stage = self

    def bind(self, app: Any) -> None:
        """Tell the stage which app's consumer to pause and resume."""
        self._consumer = lambda: app.consumer

    # what the consumer asks

    def assigned(self) -> list[Any]:
        return self.lines.partitions()

    def head(self, tp: Any) -> int | None:
        return self.lines.head(tp)

    def fetched(self, tp: Any, size: int) -> None:
        if self.lines.fetched(tp, size):
            self.hold(tp)

    def revoked(self, partitions: Any) -> None:
        self.lines.revoke(partitions)
        for source in self.sources:
            source.forget(lambda delivery: not self.lines.owns(delivery))

    # what the sources tell

    def hold(self, tp: Any) -> None:
        """Fetch no more of this partition for now (rules S3 and S7)."""
        self._consumer().hold(tp)
        self.metrics.count("partition_pauses", stage=self.policy.name)

    def finish(self, delivery: Delivery) -> None:
        if self.lines.finish(delivery):
            self._consumer().resume(delivery.tp)

    def began(self, delivery: Delivery) -> None:
        self.metrics.count("events_in", stage=self.policy.name)
        self.running[delivery] = time.monotonic()
        if self.lines.began(delivery):
            self._consumer().resume(delivery.tp)

    def ended(self, delivery: Delivery) -> None:
        began = self.running.pop(delivery, None)
        if began is not None:
            self.metrics.observe("stage_seconds", time.monotonic() - began, stage=self.policy.name)
        if not self.running:
            self._idle.set()

    def begin(self) -> None:
        """Start what may start, the first source first."""
        for source in self.sources:
            source.begin()

    @property
    def open(self) -> bool:
        """Whether new work may begin."""
        return not self.draining and self.halted is None

    def fault(self, delivery: Delivery, error: Exception) -> bool:
        """Note a fault of ours; False when there were too many and the stage halts instead (rule S6)."""
        now = time.monotonic()
        self._faults.append(now)
        log.error("fault", stage=self.policy.name, topic=delivery.topic, offset=delivery.offset, exc_info=error)
        full = len(self._faults) == self.policy.fault_limit
        if full and now - self._faults[0] < self.policy.fault_window:
            self.halt(
                f"{self.policy.fault_limit} faults of ours within {self.policy.fault_window:.0f} s, the last: {error!r}"
            )
        return self.halted is None

    def halt(self, reason: str) -> None:
        """Begin nothing more; what was delivered stays unacknowledged and comes again after a restart."""
        if self.halted is not None:
            return
        self.halted = reason
        self._over.set()
        log.critical("stage_halted", stage=self.policy.name, reason=reason)

    async def over(self) -> None:
        """Returns when it has halted and nothing that had begun is left: from then on nothing of it is in flight."""
        await self._over.wait()
        while self.running:
            self._idle.clear()
            await self._idle.wait()

    async def drain(self) -> None:
        """Stop beginning, finish what runs (rule S4). The caller commits afterwards."""
        self.draining = True
        deadline = time.monotonic() + self.policy.drain
        while self.running and time.monotonic() < deadline:
            self._idle.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(deadline - time.monotonic()):
                    await self._idle.wait()
        log.info("drained", stage=self.policy.name, left=len(self.running))

    def late(self, now: float, excused_at: float) -> float:
        """By how many seconds the oldest delivery or wait is over its time; not above 0 when none is.

        A dependency that was away until `excused_at` is nobody's fault: the time of a delivery counts from then on.
        """
        oldest = min(self.running.values(), default=now)
        return max(now - max(oldest, excused_at, self.waited_at) - self.policy.task_limit, self._calls_late(now))

    def _calls_late(self, now: float) -> float:
        return max((source.late(now) for source in self.sources), default=0.0)


def _nobody(reason: str) -> None:
    """Nobody starts this process anew."""
