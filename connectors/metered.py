"""Ports that count: decorators of the same interface, so that neither the rules nor the connectors think of metrics."""

import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import TypeVar

from domain.admission.model import PASSES, Admission, Charge, Departure, Flight, Gate, Look
from domain.budgets.model import Over
from domain.errors import Permanent
from domain.ledger.model import (
    Aside,
    Attempt,
    Cancel,
    Cancelling,
    Claim,
    Claimed,
    Finished,
    Next,
    Park,
    Release,
    RequestRecord,
    Settled,
    Settlement,
    Take,
    Taken,
    Woken,
)
from domain.metrics import Metrics
from domain.ports import Ledger, Limiter, Producer, Record

T = TypeVar("T")
_ASKED_AGAIN = frozenset({"invalid_output", "length"})


class MeteredLimiter:
    """Implements Limiter: counts what it decides."""

    def __init__(self, limiter: Limiter, metrics: Metrics) -> None:
        self._limiter = limiter
        self._metrics = metrics

    async def admit(self, batch: Sequence[Charge]) -> list[Admission]:
        admissions = await self._limiter.admit(batch)
        decisions = Counter(map(_decision, batch, admissions))
        for outcome, count in decisions.items():
            self._metrics.count("limit_decisions", count, outcome=outcome)
        return admissions

    async def peek(self, charge: Charge) -> Look:
        return await self._limiter.peek(charge)

    async def leave(self, batch: Sequence[Departure]) -> None:
        await self._limiter.leave(batch)

    async def free(self, gates: Sequence[Gate]) -> list[int | None]:
        return await self._limiter.free(gates)

    async def stale(self, older_s: float, limit: int) -> list[Flight]:
        return await self._limiter.stale(older_s, limit)


def _decision(charge: Charge, admission: Admission) -> str:
    if admission is PASSES:
        return "passed"
    gate = admission.gate
    if charge.reject and (gate is None or gate.rejects):
        return "rejected"
    return "waits" if gate is None else "queued"


class MeteredProducer:
    """Implements Producer: counts what the broker acknowledged to `stage`."""

    def __init__(self, producer: Producer, metrics: Metrics, stage: str) -> None:
        self._producer = producer
        self._metrics = metrics
        self._stage = stage

    async def send(self, records: Sequence[Record]) -> None:
        await self._producer.send(records)
        for topic, count in Counter(record.topic for record in records).items():
            self._metrics.count("events_out", count, stage=self._stage, topic=topic)


class MeteredLedger:
    """Implements Ledger: counts ends, waits and re-asks, and times the batches of `stage`."""

    def __init__(self, ledger: Ledger, metrics: Metrics, stage: str) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._stage = stage

    async def claim(self, batch: Sequence[Claim]) -> list[Claimed | Permanent]:
        return await self._timed("claim", len(batch), self._ledger.claim(batch))

    async def take(self, batch: Sequence[Take]) -> list[Taken | Permanent]:
        answers = await self._timed("take", len(batch), self._ledger.take(batch))
        repeated = sum(isinstance(answer, Taken) and answer.repeats for answer in answers)
        if repeated:
            self._metrics.count("calls_repeated", repeated)
        return answers

    async def go_on(self, batch: Sequence[Next]) -> list[int | Over | Permanent]:
        numbers = await self._timed("go_on", len(batch), self._ledger.go_on(batch))
        for next, number in zip(batch, numbers, strict=True):
            if isinstance(number, int) and number and next.done.outcome in _ASKED_AGAIN:
                self._metrics.count("re_asks", model=next.model)
        return numbers

    async def aside(self, batch: Sequence[Aside]) -> None:
        await self._timed("aside", len(batch), self._ledger.aside(batch))

    async def settle(self, batch: Sequence[Settlement]) -> list[Settled | Permanent]:
        answers = await self._timed("settle", len(batch), self._ledger.settle(batch))
        ends = Counter(
            (settlement.settled_by, str(settlement.state), settlement.error_code or "")
            for settlement, answer in zip(batch, answers, strict=True)
            if isinstance(answer, Settled) and answer.won
        )
        for (stage, status, code), count in ends.items():
            self._metrics.count("requests_settled", count, stage=stage, status=status, code=code)
        coalesced = sum(len(answer.followers) for answer in answers if isinstance(answer, Settled))
        if coalesced:
            self._metrics.count("requests_coalesced", coalesced)
        return answers

    async def park(self, batch: Sequence[Park]) -> list[bool | Permanent]:
        answers = await self._timed("park", len(batch), self._ledger.park(batch))
        for reason, count in Counter(
            park.reason for park, answer in zip(batch, answers, strict=True) if answer is True
        ).items():
            self._metrics.count("requests_parked", count, stage=self._stage, reason=reason)
        return answers

    async def tried(self, batch: Sequence[tuple[str, str, int]]) -> list[tuple[Attempt, ...]]:
        return await self._timed("tried", len(batch), self._ledger.tried(batch))

    async def cancel(self, batch: Sequence[Cancel]) -> list[Cancelling | Permanent]:
        return await self._timed("cancel", len(batch), self._ledger.cancel(batch))

    async def cancelled(self, limit: int) -> list[Woken]:
        return await self._ledger.cancelled(limit)

    async def abandoned(self) -> list[tuple[str, str, int]]:
        return await self._ledger.abandoned()

    async def wake(self, limit: int) -> list[Woken]:
        return await self._ledger.wake(limit)

    async def gates(self, limit: int, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        return await self._ledger.gates(limit, after)

    async def let_in(self, batch: Sequence[Release]) -> list[Woken]:
        return await self._ledger.let_in(batch)

    async def stray(self, limit: int) -> list[Woken]:
        return await self._ledger.stray(limit)

    async def unemitted(self, limit: int) -> list[Finished]:
        return await self._ledger.unemitted(limit)

    async def overdue(self, limit: int) -> list[Woken]:
        return await self._ledger.overdue(limit)

    async def emitted(self, batch: Sequence[tuple[str, str, int]]) -> None:
        await self._timed("emitted", len(batch), self._ledger.emitted(batch))

    async def register(self, incarnation: str, stage: str) -> None:
        await self._ledger.register(incarnation, stage)

    async def renew(self) -> None:
        await self._ledger.renew()

    async def release(self) -> None:
        await self._ledger.release()

    async def find(self, tenant: str, id: str) -> RequestRecord | None:
        return await self._ledger.find(tenant, id)

    async def next_due(self) -> datetime | None:
        return await self._ledger.next_due()

    async def _timed(self, verb: str, size: int, work: Awaitable[T]) -> T:
        began = time.perf_counter()
        answer = await work
        self._metrics.observe("batch_size", size, stage=self._stage, verb=verb)
        self._metrics.observe("batch_seconds", time.perf_counter() - began, stage=self._stage, verb=verb)
        return answer
