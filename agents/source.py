"""The one place that iterates a Faust stream: takes events off it and hands them to a handler, in one of two forms."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from agents.contract import Batch, Each, NotForUs, Outside
from agents.line import Delivery
from agents.stage import Stage
from agents.trying import Halted, attempt
from agents.turns import Turns

log = structlog.get_logger("stage")

RECENTLY = 2.0
"""Seconds for which a better lane counts as in use after its last record, and a quiet tenant as being there."""


class Source(ABC):
    """One topic of a stage: takes events off its stream into the lines and hands them to the handler."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self.stage: Stage
        self.used_at = float("-inf")
        self._outside = Outside()
        self.tasks: set[asyncio.Task[None]] = set()

    async def consume(self, stream: Any) -> None:
        """The body of the Faust agent, an event of which is what a fetch brought (agents/consumer.py).

        Ends quietly when Faust ends it (at a rebalance, at shutdown).
        """
        with suppress(asyncio.CancelledError):
            async for event in stream.noack().events():
                self.used_at = time.monotonic()
                for record in event.message.records:
                    delivery = delivery_of(record, event.message.generation_id)
                    self.stage.lines.add(delivery)
                    self._queue(delivery)
                self.begin()

    @abstractmethod
    def begin(self) -> None:
        """Start what may start."""

    @abstractmethod
    def forget(self, gone: Callable[[Delivery], bool]) -> None:
        """Drop what has not begun and is not ours any more."""

    @abstractmethod
    def _queue(self, delivery: Delivery) -> None:
        """Keep it until it may start."""

    def late(self, now: float) -> float:
        """By how many seconds a wait for somebody else is over its own time; not above 0 when none is."""
        return self._outside.late(now)

    def _start(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # neither done nor buried: nothing of it may be acknowledged, so the stage must not go on (rule S5)
            reason = f"could not finish nor bury a delivery: {error!r}"
            self.stage.halt(reason)
            self.stage.when_stuck(reason)
        self.stage.begin()


class EachSource(Source):
    """Hands out single deliveries, of each tenant in turn, while fewer than its `share` of the stage's `slots` run.

    Sources of one stage share its slots: one that may fill more of them keeps room that the others cannot take. The
    same share holds for what may be inside at once. A source beside which a better one is in use takes a part of that,
    and so does one whose tenants come singly behind the flood of another: who is inside shares one interpreter and the
    batches of the ledger, and a call would wait behind all of them.
    """

    def __init__(self, topic: str, handler: Each, slots: int, share: float = 1.0) -> None:
        super().__init__(topic)
        self._handler = handler
        self._slots = max(1, int(slots * share))
        self._share = share
        self._turns = Turns(RECENTLY)
        self._outside = handler.outside
        self._outside.more = self._more

    def begin(self) -> None:
        running, turns = self.stage.running, self._turns
        aside = max(self._of_worse(), self._outside.count)
        if not turns.singly and (not turns.ready or len(running) >= self._room(self.stage.policy.inside) + aside):
            return  # nothing to begin, or no room even where no other lane and no other tenant is
        inside = self._inside()
        while turns.singly and self.stage.open and len(running) < self._slots:
            self._begin(turns.singly.popleft())
        while turns.ready and self.stage.open and len(running) < min(self._slots, inside + aside):
            self._begin(turns.ready.take())

    def _of_worse(self) -> int:
        """Deliveries of worse lanes that have begun: nobody waits for room that they take."""
        sources = self.stage.sources
        return 0 if sources[-1] is self else sum(len(one.tasks) for one in sources[sources.index(self) + 1 :])

    def _begin(self, delivery: Delivery) -> None:
        self._turns.began(delivery, time.monotonic())
        self.stage.began(delivery)
        self._start(self._one(delivery))

    def forget(self, gone: Callable[[Delivery], bool]) -> None:
        self._turns.forget(gone, self.stage.running)

    def _queue(self, delivery: Delivery) -> None:
        self._turns.put(delivery, self.used_at, self._in_hand, self._room(self.stage.policy.crowded))
        self.begin()  # before the next: what is queued is what has to wait

    def _inside(self) -> int:
        """How many may be inside for one more of this lane to begin."""
        policy = self.stage.policy
        return self._room(policy.crowded if self._is_crowded() else policy.inside)

    def _room(self, most: int) -> int:
        return max(1, int(most * self._share))

    def _is_crowded(self) -> bool:
        now = time.monotonic()
        if self._turns.flooded(now, self._in_hand):
            return True
        moment = now - RECENTLY
        for better in self.stage.sources:
            if better is self:
                return False
            if better.used_at > moment:
                return True
        return False

    @property
    def _in_hand(self) -> int:
        """Calls of this lane that have begun and do not wait for somebody else."""
        return max(0, len(self.tasks) - self._outside.count)

    def _more(self) -> None:
        self.stage.begin()

    async def _one(self, delivery: Delivery) -> None:
        try:
            await attempt(partial(self._handler.handle, delivery), self.stage)
        except NotForUs as error:
            self.stage.hold(delivery.tp)
            log.warning("record_of_a_newer_writer", topic=delivery.topic, offset=delivery.offset, reason=str(error))
            return
        except Halted:
            return
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not leave the stage (rule S5)
            if not self.stage.fault(delivery, error):
                return
            await attempt(partial(self._handler.bury, delivery, error), self.stage)
        finally:
            self._turns.ended(delivery)
            self.stage.ended(delivery)
        self.stage.finish(delivery)


class BatchSource(Source):
    """Hands out natural batches, one at a time; smaller ones while another source of the stage is in use, whose batches
    share the interpreter with these."""

    def __init__(self, topic: str, handler: Batch) -> None:
        super().__init__(topic)
        self._handler = handler
        self._ready: deque[Delivery] = deque()

    def forget(self, gone: Callable[[Delivery], bool]) -> None:
        self._ready = deque(delivery for delivery in self._ready if not gone(delivery))

    def _queue(self, delivery: Delivery) -> None:
        self._ready.append(delivery)

    def begin(self) -> None:
        if not self._ready or self.tasks or not self.stage.open:
            return
        size = min(len(self._ready), self._most())
        batch = [self._ready.popleft() for _ in range(size)]
        for delivery in batch:
            self.stage.began(delivery)
        self._start(self._batch(batch))

    def _most(self) -> int:
        most, sources = self.stage.policy.batch, self.stage.sources
        if len(sources) == 1:
            return most
        moment = time.monotonic() - RECENTLY
        return max(1, most // 5) if any(one is not self and one.used_at > moment for one in sources) else most

    async def _batch(self, batch: Sequence[Delivery]) -> None:
        try:
            await self._settle(batch)
        except Halted:
            return
        finally:
            for delivery in batch:
                self.stage.ended(delivery)

    async def _settle(self, batch: Sequence[Delivery]) -> None:
        """Handle a batch; one that fails is handled in halves, so that one bad record harms no other (rule L16)."""
        try:
            await attempt(partial(self._handler.handle_batch, batch), self.stage)
        except Halted:
            raise
        except Exception as error:  # noqa: BLE001 - rule S5
            if len(batch) > 1:
                middle = len(batch) // 2
                await self._settle(batch[:middle])
                await self._settle(batch[middle:])
                return
            if not self.stage.fault(batch[0], error):
                return
            await attempt(partial(self._handler.bury, batch[0], error), self.stage)
        for delivery in batch:
            self.stage.finish(delivery)


def delivery_of(record: Any, generation: int) -> Delivery:
    """A record as the stage keeps it."""
    return Delivery(
        tp=(record.topic, record.partition),
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        generation=generation,
        key=record.key,
        value=record.value,
        headers=record.headers or (),
        timestamp=record.timestamp / 1000,
    )
