"""How infer writes: the end of a run, its waiting, a further attempt. Ledger first, then topics (rules L8 to L13)."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agents.departures import Departures
from agents.emit import (
    Emission,
    Emitter,
    Reason,
    bill_record,
    dead_letter,
    end_events,
    event_record,
    leaves_dead_letter,
    letters_again,
    usage_record,
)
from agents.infer.persisting import persist
from agents.infer.purse import said
from agents.infer.remembering import Answer, Remembering
from agents.infer.work import Again, Finish, Later, Work
from agents.line import Delivery
from domain.batching import Batcher, ByLane
from domain.budgets.model import Bill, Over, Reserve
from domain.budgets.rules import ask_again_at
from domain.errors import Permanent
from domain.ledger.coalescing import answered
from domain.ledger.model import Aside, Finished, Next, Park, Settled, Settlement, Taken, still_running
from domain.ledger.results import Called, Ending, Spent, attempt_done, event_bytes, finish
from domain.metrics import Metrics
from domain.ports import Cache, Ledger, Producer, Record
from topics.base import format_time, parse_time
from topics.call import PromptCall


@dataclass(frozen=True, slots=True)
class SettlerPorts:
    """Where infer writes to."""

    ledger: Ledger
    producer: Producer
    cache: Cache
    emitter: Emitter
    metrics: Metrics
    clock: Callable[[], datetime]
    cache_ttl: timedelta
    departures: Departures


@dataclass(slots=True)
class End:
    """A run that is over, on its way: settled first, then remembered, then produced."""

    settlement: Settlement
    emission: Emission
    unheard: tuple[bytes, ...]
    answer: Answer | None = None


class Settler:
    """Writes in natural batches; keeps what was paid for in memory while a dependency is away."""

    def __init__(self, ports: SettlerPorts) -> None:
        self._ports = ports
        self._remembering = Remembering(ports.cache, ports.cache_ttl, ports.metrics)
        self._nexts: Batcher[Next, int | Over] = Batcher(ports.ledger.go_on)
        self._parks = Batcher(ports.ledger.park)
        self._asides: Batcher[Aside, None] = Batcher(self._aside_all)
        self._ends = ByLane(self._end_all, 200)  # to encode one more holds the event loop for another 0.1 ms
        self._emits = Batcher(ports.emitter.emit)
        self._records = Batcher(self._send)

    async def settle(self, delivery: Delivery, work: Work, step: Finish) -> bool:
        """The run is over: settle, fill the cache, produce. False, and nothing of it, when somebody else was first."""
        call, now, ending, called = work.call, self._ports.clock(), step.ending, step.called
        spent = work.spent
        if called is not None:
            spent = spent.with_called(called)
        ending, result = finish(call, work.run, ending, spent, now)
        settlement = Settlement(
            call.tenant, call.id, work.run, work.epoch, ending.state, result, "infer", ending.code,
            attempt_done(call, work.run, called) if called else None,
        )  # fmt: skip
        at = format_time(now)
        events = end_events(call, work.run, ending.code, at)
        end = End(settlement, Emission(call, work.run, result, at, events=events), work.unheard)
        end.answer = self._remembering.answer(call, ending, spent, now)
        if leaves_dead_letter(call, ending.state, ending.code, ending.output):
            self._add_dead_letter(end.emission, delivery, ending, spent, now)
        won = await persist(lambda: self._ends.submit(call.lane, end))
        if won:
            self._ports.departures.add(call, work.run, spent.tokens.input + spent.tokens.output)
            seconds = (now - parse_time(call.submitted_at)).total_seconds()
            self._ports.metrics.observe("request_seconds", seconds, lane=call.lane)
        return won

    async def settle_as(self, call: PromptCall, run: int, taken: Taken) -> None:
        """With the answer to another request that asked the same (rule L14)."""
        settlement = answered(call.encode(), run, taken.epoch, taken.result or b"")
        end = End(settlement, Emission.stored(call, run, settlement.result, ()), ())
        if await persist(lambda: self._ends.submit(call.lane, end)):
            self._ports.departures.add(call, run, 0)
            self._ports.metrics.count("requests_coalesced")

    async def tell(self, bill: Bill) -> None:
        """A usage record that belongs to no attempt at an answer."""
        await persist(lambda: self._records.submit(bill_record(bill)))

    async def _send(self, records: Sequence[Record]) -> list[None]:
        await self._ports.producer.send(records)
        return [None] * len(records)

    def waits(self, call: PromptCall, run: int) -> None:
        """It waits behind another that asks the same: it is not in flight meanwhile."""
        self._ports.departures.add(call, run, None)

    async def _end_all(self, batch: Sequence[End]) -> list[bool | Permanent]:
        """Whether each settlement won. Repeated as a whole after a failure: a settlement that won wins again."""
        settled = await self._ports.ledger.settle([end.settlement for end in batch])
        ended: list[bool | Permanent] = []
        won, fenced = [], []
        followers: list[Finished] = []
        for end, answer in zip(batch, settled, strict=True):
            ended.append(answer if isinstance(answer, Permanent) else answer.won)
            if isinstance(answer, Settled) and answer.won:
                end.emission.usage = (*end.unheard, *answer.usage)
                won.append(end)
                followers += answer.followers
            elif isinstance(answer, Settled):
                fenced.append(end)
        answers = [end.answer for end in won if end.answer is not None]
        ended_too = [Emission.finished(one) for one in followers]
        for emission in ended_too:
            self._ports.departures.add(emission.call, emission.run, 0)
        emissions = [*(end.emission for end in won), *ended_too]
        emitting = self._ports.emitter.emit(emissions, self._paid_for_nothing(fenced))
        # both only need the commit, and neither the other
        await asyncio.gather(emitting, self._remembering.write(answers))
        return ended

    def _paid_for_nothing(self, fenced: Sequence[End]) -> list[Record]:
        """The usage of attempts whose answers came too late: they are billed all the same (rule L8)."""
        if not fenced:
            return []
        self._ports.metrics.count("fenced", len(fenced), stage="infer")
        return [
            usage_record(end.emission.call, end.emission.run, end.settlement.done.record)
            for end in fenced
            if end.settlement.done is not None
        ]

    async def ask_again(self, work: Work, step: Again, reserve: Reserve | None) -> Work | Over | None:
        """The next attempt, recorded as started; None when the run is not ours any more, Over when it is too dear."""
        call, called, to = work.call, step.called, step.next.deployment
        done = attempt_done(call, work.run, called)
        following = Next(call.tenant, call.id, work.run, work.epoch, done, to.provider, to.model, reserve)
        number = await persist(lambda: self._nexts.submit(following))
        if isinstance(number, Over) or not number:
            return number or None
        return replace(step.next, attempt=number, spent=work.spent.with_called(called), reserved=reserve is not None)

    async def beside(self, work: Work, further: Work, reserve: Reserve | None) -> Work | None:
        """A second attempt, recorded as started while the first one runs; None where it may not be made."""
        call, to = work.call, further.deployment
        running = still_running(work.attempt)
        following = Next(call.tenant, call.id, work.run, work.epoch, running, to.provider, to.model, reserve)
        number = await persist(lambda: self._nexts.submit(following))
        if isinstance(number, Over) or not number:
            return None
        return replace(further, attempt=number, reserved=reserve is not None)

    async def aside(self, work: Work, called: Called) -> None:
        """How the one of two attempts ended that the run does not go on by; its bill is kept (rule L8)."""
        call = work.call
        ended = Aside(call.tenant, call.id, work.run, attempt_done(call, work.run, called))
        await persist(lambda: self._asides.submit(ended))

    async def _aside_all(self, batch: Sequence[Aside]) -> list[None]:
        await self._ports.ledger.aside(batch)
        return [None] * len(batch)

    async def unpaid(self, delivery: Delivery, work: Work, step: Again, over: Over) -> None:
        """A further attempt is too dear: a retry where it was, the end with what it has, or it waits for its budget."""
        call, now, otherwise = work.call, self._ports.clock(), step.otherwise
        if isinstance(otherwise, Later):
            await self.park(work, otherwise)
            return
        if call.reject_on_limit or over.never:
            ending = replace(otherwise.ending, message=f"{otherwise.ending.message}; {said(over)}")
            await self.settle(delivery, work, Finish(ending, step.called))
            return
        until = ask_again_at(over, now, parse_time(call.submitted_at))
        await self.park(work, Later((until - now).total_seconds(), "budget", step.called))

    async def park(self, work: Work, step: Later) -> None:
        """The run waits; wake brings it back (rule L10)."""
        call = work.call
        not_before = self._ports.clock() + timedelta(seconds=step.after)
        done = attempt_done(call, work.run, step.called)
        park = Park(call.tenant, call.id, work.run, work.epoch, not_before, step.reason, call.lane, done)
        if not await persist(lambda: self._parks.submit(park)):
            # another worker has the run; the attempt was made all the same
            await persist(lambda: self._ports.producer.send([usage_record(call, work.run, done.record)]))
        else:
            self._ports.departures.add(call, work.run, None)
            await self._tell_waiting(call, work.run, work.epoch, not_before, step.reason)

    async def hold(self, call: PromptCall, run: int, epoch: int, after: float, reason: str) -> bool:
        """A run that nobody has begun waits; False when it does not stand where its call was produced."""
        until = self._ports.clock() + timedelta(seconds=after)
        park = Park(call.tenant, call.id, run, epoch, until, reason, call.lane)
        if not await persist(lambda: self._parks.submit(park)):
            return False
        self._ports.departures.add(call, run, None)
        await self._tell_waiting(call, run, epoch, until, reason)
        return True

    async def _tell_waiting(self, call: PromptCall, run: int, epoch: int, until: datetime, reason: str) -> None:
        data = {"reason": reason, "until": format_time(until), "epoch": epoch}
        now = self._ports.clock()
        event = event_bytes("request.waiting", call, run, now, data)
        await persist(lambda: self._ports.producer.send([event_record(call, event, format_time(now))]))

    async def emit_again(self, call: PromptCall, run: int, taken: Taken) -> None:
        """Produce what another worker settled and perhaps did not produce."""
        if self._ports.emitter.has_emitted(call.tenant, call.id, run):
            return
        result = taken.result or b""
        again = Emission.stored(call, run, result, taken.usage)
        again.letters = letters_again(call, run, result)
        await persist(lambda: self._emits.submit(again))

    def _add_dead_letter(
        self, emission: Emission, delivery: Delivery, ending: Ending, spent: Spent, now: datetime
    ) -> None:
        call, code = emission.call, ending.code or "internal"
        self._ports.metrics.count("dead_letters", stage="infer", code=code)
        reason = Reason(
            "infer", code, ending.message, ending.problems, call.tenant, call.id, emission.run, spent.attempts
        )
        data = {"code": code, "reason": ending.message[:500]}
        emission.events = [event_bytes("error.occurred", call, emission.run, now, data)]
        emission.letters = [dead_letter(delivery, reason, now)]
