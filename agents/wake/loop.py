"""wake: brings back what waited until it is due, and what was left behind (rules L10 and L15). Any number may run.

It reads no topic: it asks the ledger, whose answer no two workers share (SKIP LOCKED). What it woke and could not
produce because it died is found again by the sweep.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog

from agents.emit import Emission, Emitter, call_record
from domain.errors import Transient
from domain.ledger.model import Finished, Settled, Settlement, Woken
from domain.ledger.results import Ending, Spent, cancelled, finish, overdue, spent_before, unheard
from domain.metrics import Metrics
from domain.ports import Ledger, Producer
from topics.base import format_time
from topics.call import PromptCall

log = structlog.get_logger("wake")

BATCH = 500
SWEEP_EVERY = 5.0
FAULT_LIMIT = 25


@dataclass(frozen=True, slots=True)
class WakePorts:
    """What wake works with."""

    ledger: Ledger
    producer: Producer
    emitter: Emitter
    metrics: Metrics
    clock: Callable[[], datetime]


class Wake:
    """Runs until it is stopped; a dependency that is away is waited for."""

    def __init__(self, ports: WakePorts, poll: float = 0.2) -> None:
        self._ports = ports
        self._poll = poll
        self._stopping = asyncio.Event()
        self.turned_at = time.monotonic()

    def stop(self) -> None:
        """End after the batch in hand."""
        self._stopping.set()

    async def run(self) -> None:
        swept_at = float("-inf")
        wait, faults = self._poll, 0
        while not self._stopping.is_set():
            self.turned_at = time.monotonic()
            try:
                busy = await self.end_cancelled()
                busy |= await self.wake_due()
                if time.monotonic() - swept_at >= SWEEP_EVERY:
                    await self.sweep()
                    swept_at = time.monotonic()
                wait, faults = (0.0 if busy else self._poll), 0
            except Transient as error:
                wait = min(5.0, max(0.1, wait * 2))
                log.warning("dependency_away", reason=str(error), wait_s=wait)
            except Exception:
                # one row that cannot be carried on must not keep all others waiting; many mean that we are broken
                faults, wait = faults + 1, 1.0
                log.exception("fault", stage="wake")
                if faults >= FAULT_LIMIT:
                    raise
            await self._sleep(wait)

    async def end_cancelled(self) -> bool:
        """End what somebody wanted to end and nobody works on; True when there may be more at once."""
        rows = await self._ports.ledger.cancelled(BATCH)
        await self._end(rows, cancelled)
        return len(rows) == BATCH

    async def wake_due(self) -> bool:
        """Hand on what is due; True when there may be more at once."""
        woken = await self._ports.ledger.wake(BATCH)
        await self._hand_on(woken)
        for lane, count in Counter(row.lane for row in woken).items():
            self._ports.metrics.count("requests_woken", count, lane=lane)
        return len(woken) == BATCH

    async def sweep(self) -> None:
        """What nobody works on, what was settled and perhaps not produced, what is past its deadline."""
        ledger, metrics = self._ports.ledger, self._ports.metrics
        stray = await ledger.stray(BATCH)
        await self._hand_on(stray)
        metrics.count("requests_found", len(stray), found="stray")
        unemitted = await ledger.unemitted(BATCH)
        await self._emit(unemitted)
        metrics.count("requests_found", len(unemitted), found="unemitted")
        late = await ledger.overdue(BATCH)
        await self._end(late, _too_late)
        metrics.count("requests_found", len(late), found="overdue")
        due = await ledger.next_due()
        seconds = (self._ports.clock() - due).total_seconds() if due else 0.0
        metrics.gauge("waiting_overdue_seconds", max(0.0, seconds))

    async def _hand_on(self, woken: Sequence[Woken]) -> None:
        if not woken:
            return
        at = format_time(self._ports.clock())
        await self._ports.producer.send([call_record(row, at) for row in woken])

    async def _emit(self, finished: Sequence[Finished]) -> None:
        if finished:
            await self._ports.emitter.emit(list(map(Emission.finished, finished)))

    async def _end(self, rows: Sequence[Woken], how: Callable[[int], Ending]) -> None:
        """Settle what nobody works on as `how`, which is told the number of calls that were made."""
        if not rows:
            return
        ends = [await self._ending(row, how) for row in rows]
        settled = await self._ports.ledger.settle([settlement for settlement, _ in ends])
        won = [
            Emission.stored(PromptCall.decode(row.call), row.run, settlement.result, (*lost, *answer.usage))
            for row, (settlement, lost), answer in zip(rows, ends, settled, strict=True)
            if isinstance(answer, Settled) and answer.won
        ]
        if won:
            await self._ports.emitter.emit(won)

    async def _ending(self, row: Woken, how: Callable[[int], Ending]) -> tuple[Settlement, tuple[bytes, ...]]:
        """The end of a run, and the usage records of those of its calls that nobody heard of again."""
        self.turned_at = time.monotonic()
        call, now = PromptCall.decode(row.call), self._ports.clock()
        record = await self._ports.ledger.find(row.tenant, row.id)
        attempts = record.attempts if record else ()
        spent = spent_before(attempts, len(attempts) + 1) if attempts else Spent()
        ending, result = finish(call, row.run, how(spent.attempts), spent, now)
        settlement = Settlement(row.tenant, row.id, row.run, row.epoch, ending.state, result, "wake", ending.code)
        return settlement, unheard(call, row.run, attempts, len(attempts) + 1)

    async def _sleep(self, seconds: float) -> None:
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
        else:
            await asyncio.sleep(0)


def _too_late(attempts: int) -> Ending:
    return overdue(attempts, "while it waited")
