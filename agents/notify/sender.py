"""Sends what is due: takes deliveries under a lease, posts them, settles them in batches.

A delivery is sent at least once: a process that dies between the answer and its settling leaves it to the next one,
which sends it again under the same webhook-id.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from agents.notify.attempt import Attempts, Tried
from domain.batching import Batcher
from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import Deliveries, Endpoints, Outlet
from domain.webhooks import schedule
from domain.webhooks.model import Due, Mark, Settlement, Wish
from domain.webhooks.objects import parts
from domain.webhooks.rooms import NEW_ROOM, Lane, Rooms

log = structlog.get_logger("notify")

LEASE = timedelta(seconds=60)
"""Longer than an attempt (15 s, 30 s into a bucket) and its settling may take."""
AT_ONCE = 200
MOST_BYTES = 16 * 1024 * 1024
"""Of bodies in flight: nothing more is taken until they are fewer."""
LOOK_EVERY_S = 0.25
"""Where nobody nudges: another process may have put something, and retries become due."""
AGAIN_S = 1.0
DRAIN_S = 20.0


Settled = tuple[Settlement, Mark | None]


@dataclass(frozen=True, slots=True)
class SenderPorts:
    """What a sender works with. `pepper` signs, `chance` is the jitter in [0, 1)."""

    endpoints: Endpoints
    deliveries: Deliveries
    outlet: Outlet
    metrics: Metrics
    pepper: bytes
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random


class Sender:
    """Use it from one event loop. `places` deliveries are in flight at most."""

    def __init__(self, ports: SenderPorts, places: int) -> None:
        self._ports = ports
        self._attempts = Attempts(ports.outlet, ports.pepper, ports.now, ports.chance)
        self._rooms = Rooms(places)
        self._settles: Batcher[Settled, None] = Batcher(self._settle, AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()
        self._something = asyncio.Event()
        self._stopping = False
        self._bytes = 0
        self.trouble: str | None = None

    def nudge(self) -> None:
        """There is something to send, or room to send it."""
        self._something.set()

    def held(self) -> frozenset[Lane]:
        """Destinations that get all they may have: what waits for them waits for their receivers."""
        return frozenset(self._rooms.held(self._ports.clock()))

    def stop(self) -> None:
        """Take nothing more; `run` ends when what is in flight is settled, within 20 s."""
        self._stopping = True
        self.nudge()

    async def run(self) -> None:
        while not self._stopping:
            self._something.clear()
            try:
                taken = await self.turn()
                self.trouble = None
            except Transient as error:
                self._troubled("take", error)
                taken = 0
            if not taken:
                await self._wait(AGAIN_S if self.trouble else LOOK_EVERY_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                await asyncio.gather(*self._tasks, return_exceptions=True)
        for task in self._tasks:
            task.cancel()

    async def turn(self) -> int:
        """Take what is due and begin to send it; how many that were. Raises Transient."""
        clock = self._ports.clock()
        self._rooms.forget(clock)
        known = dict(self._rooms.known(clock))
        free = sum(max(0, self._rooms.free(kind)) for kind in ("quick", "new", "poor"))
        other = max(0, min(NEW_ROOM, self._rooms.free("new")))
        wish = Wish(known, other, min(free, AT_ONCE), MOST_BYTES - self._bytes)
        if wish.limit <= 0 or wish.size <= 0:
            return 0
        now = self._ports.now()
        found = await self._ports.deliveries.take(wish, now, now + LEASE)
        for batch in _batches(found):
            lane = (batch[0].key.tenant, batch[0].key.endpoint)
            self._bytes += sum(len(due.body) for due in batch)
            task = asyncio.ensure_future(self._send(batch, self._rooms.enter(lane, clock)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return len(found)

    async def drained(self) -> None:
        """Everything that was begun is settled."""
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _send(self, batch: Sequence[Due], kind: str) -> None:
        ports, lane = self._ports, (batch[0].key.tenant, batch[0].key.endpoint)
        quick, failed = False, True
        try:
            tried = await self._attempts.make(batch)
            quick, failed = tried.quick, tried.failed
            self._measure(tried)
            await asyncio.gather(*map(self._settled, batch, tried.settled))
        except Exception:
            # the lease ends, and it is sent again
            log.exception("fault", stage="notify", what="delivery")
        finally:
            self._bytes -= sum(len(due.body) for due in batch)
            self._rooms.leave(lane, kind, quick, failed, ports.clock())
            self.nudge()

    async def _settled(self, due: Due, settled: Settlement) -> None:
        """Within the lease it is tried until PostgreSQL answers; then somebody else sends it again."""
        last = self._ports.clock() + LEASE.total_seconds() / 2
        while True:
            try:
                await self._settles.submit((settled, schedule.mark(due, settled)))
            except Transient as error:
                self._troubled("settle", error)
                if self._ports.clock() > last:
                    return
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _settle(self, batch: Sequence[Settled]) -> list[None]:
        await self._ports.deliveries.settle([settled for settled, _ in batch])
        marks = [mark for _, mark in batch if mark is not None]
        if marks:
            await self._ports.endpoints.mark(marks)
        self._ports.metrics.observe("batch_size", len(batch), stage="destinations", verb="settle")
        return [None] * len(batch)

    def _measure(self, tried: Tried) -> None:
        for settled in tried.settled:
            outcome = settled.attempt.outcome
            failed = "exhausted" if settled.again is None else "retried"
            self._ports.metrics.count("deliveries", outcome=failed if outcome == "failed" else outcome)
        if tried.heard is not None:
            self._ports.metrics.observe("delivery_seconds", tried.heard.seconds)

    def _troubled(self, what: str, error: Transient) -> None:
        self.trouble = f"{what}: {error}"
        log.warning("notify_waits", what=what, reason=str(error))

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._something.wait()


def _batches(found: Sequence[Due]) -> Iterator[Sequence[Due]]:
    """A delivery is an attempt of its own; those for a bucket are one an object."""
    buckets: defaultdict[tuple[str, str], list[Due]] = defaultdict(list)
    for due in found:
        if due.target is not None and due.target.bucket is not None:
            buckets[due.target.tenant, due.target.id].append(due)
        else:
            yield [due]
    for rows in buckets.values():
        yield from parts(rows)
