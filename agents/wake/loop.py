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

from agents.departures import Departures
from agents.emit import Emission, Emitter, call_record
from agents.wake.lanes import Lanes
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
RENEWED_WITHIN = 12.0
"""Seconds after an outage in which nobody is taken for dead: what kept wake from the database kept the workers from
renewing their leases, and they hold answers that were paid for."""


@dataclass(frozen=True, slots=True)
class WakePorts:
    """What wake works with."""

    ledger: Ledger
    producer: Producer
    emitter: Emitter
    metrics: Metrics
    clock: Callable[[], datetime]
    lanes: Lanes
    departures: Departures


class Wake:
    """Runs until it is stopped; a dependency that is away is waited for."""

    def __init__(self, ports: WakePorts, poll: float = 0.2) -> None:
        self._ports = ports
        self._poll = poll
        self._stopping = asyncio.Event()
        self._away_at = float("-inf")
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
                if time.monotonic() - swept_at >= SWEEP_EVERY:
                    swept_at = time.monotonic()  # one that fails must not keep those waiting whose time has come
                    await self.sweep()
                busy |= await self.wake_due()
                # a place becomes free at any time: who waits for one is looked after more often
                wait, faults = (0.0 if busy else self._poll / 4 if self._ports.lanes.waited_for else self._poll), 0
            except Transient as error:
                self._away_at = time.monotonic()
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
        # first those who have a place: it asks Redis too, without which nobody could be handed on
        released = await self._ports.lanes.release(BATCH)
        woken = await self._ports.ledger.wake(BATCH)
        await self._hand_on([*released, *woken])
        for lane, count in Counter(row.lane for row in (*released, *woken)).items():
            self._ports.metrics.count("requests_woken", count, lane=lane)
        return BATCH in (len(released), len(woken))

    async def sweep(self) -> None:
        """What nobody works on, what was settled and perhaps not produced, what is past its deadline."""
        ledger, metrics = self._ports.ledger, self._ports.metrics
        unemitted = await ledger.unemitted(BATCH)
        await self._emit(unemitted)
        metrics.count("requests_found", len(unemitted), found="unemitted")
        late = await ledger.overdue(BATCH)
        await self._end(late, _too_late)
        metrics.count("requests_found", len(late), found="overdue")
        due = await ledger.next_due()
        seconds = (self._ports.clock() - due).total_seconds() if due else 0.0
        metrics.gauge("waiting_overdue_seconds", max(0.0, seconds))
        # from here on it needs Redis: nobody is handed on without it
        metrics.count("requests_found", await self._ports.lanes.look(), found="in_flight")
        if time.monotonic() - self._away_at < RENEWED_WITHIN:
            return
        stray = await ledger.stray(BATCH)
        await self._hand_on(stray)
        metrics.count("requests_found", len(stray), found="stray")

    async def _hand_on(self, woken: Sequence[Woken]) -> None:
        passing = await self._ports.lanes.pass_on(woken)
        if passing:
            at = format_time(self._ports.clock())
            await self._ports.producer.send([call_record(row, at) for row in passing])

    async def _emit(self, finished: Sequence[Finished]) -> None:
        if finished:
            await self._ports.emitter.emit(list(map(Emission.finished, finished)))

    async def _end(self, rows: Sequence[Woken], how: Callable[[int], Ending]) -> None:
        """Settle what nobody works on as `how`, which is told the number of calls that were made."""
        if not rows:
            return
        ends = [await self._ending(row, how) for row in rows]
        settled = await self._ports.ledger.settle([settlement for settlement, _, _ in ends])
        won = [
            (Emission.stored(PromptCall.decode(row.call), row.run, settlement.result, (*lost, *answer.usage)), used)
            for row, (settlement, lost, used), answer in zip(rows, ends, settled, strict=True)
            if isinstance(answer, Settled) and answer.won
        ]
        for emission, used in won:
            self._ports.departures.add(emission.call, emission.run, used)
        if won:
            await self._ports.emitter.emit([emission for emission, _ in won])

    async def _ending(self, row: Woken, how: Callable[[int], Ending]) -> tuple[Settlement, tuple[bytes, ...], int]:
        """The end of a run, the usage records of those of its calls that nobody heard of again, the tokens it used."""
        self.turned_at = time.monotonic()
        call, now = PromptCall.decode(row.call), self._ports.clock()
        record = await self._ports.ledger.find(row.tenant, row.id)
        attempts = record.attempts if record else ()
        spent = spent_before(attempts, len(attempts) + 1) if attempts else Spent()
        ending, result = finish(call, row.run, how(spent.attempts), spent, now)
        settlement = Settlement(row.tenant, row.id, row.run, row.epoch, ending.state, result, "wake", ending.code)
        used = spent.tokens.input + spent.tokens.output
        return settlement, unheard(call, row.run, attempts, len(attempts) + 1), used

    async def _sleep(self, seconds: float) -> None:
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopping.wait()
        else:
            await asyncio.sleep(0)


def _too_late(attempts: int) -> Ending:
    return overdue(attempts, "while it waited")
