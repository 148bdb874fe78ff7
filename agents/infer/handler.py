"""infer: take a request under the lease, call the model, settle, produce, acknowledge. In that order, always.

Whatever has to wait becomes a waiting row. Once a call was made its outcome is kept in memory until the ledger has it,
however long the database is away: a paid answer is not asked for twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from agents.contract import NotForUs
from agents.emit import Reason, dead_letter
from agents.infer.caller import Caller
from agents.infer.documents import Read, Reading
from agents.infer.purse import Purse, unaffordable
from agents.infer.settler import Settler, persist
from agents.infer.ways import LONGEST_S
from agents.infer.work import NOWHERE, Again, Finish, Later, Step, Work
from agents.lease import LeaseKeeper
from agents.line import Delivery
from domain.batching import Batcher
from domain.budgets.model import Over
from domain.budgets.rules import ask_again_at
from domain.caching.keys import question
from domain.errors import InvalidRequest
from domain.ledger.model import Attempt, Grip, State, Take, Taken
from domain.ledger.results import NOTHING, Ending, cancelled, failed, rejected, spent_before, unheard
from domain.output.recovery import UNUSED, used_before
from domain.output.schema import compile as compile_schema
from domain.ports import Ledger, Producer
from domain.routing.catalogue import Catalogue
from domain.routing.model import Alias, Deployment
from domain.routing.parts import kinds
from domain.tracing import Tracing
from topics import headers as head
from topics.base import parse_time
from topics.call import CALL_VERSION, PromptCall


class Where(NamedTuple):
    """What a request's model stands for, which of it is called first, and with what.

    after: seconds that it has to wait before, since what it refers to cannot be read now.
    """

    route: Alias
    to: Deployment
    call: PromptCall
    after: float = 0.0


@dataclass(frozen=True, slots=True)
class InferPorts:
    """What infer works with."""

    ledger: Ledger
    producer: Producer
    catalogue: Catalogue
    lease: LeaseKeeper
    caller: Caller
    settler: Settler
    purse: Purse
    tracing: Tracing
    clock: Callable[[], datetime]
    reading: Reading | None = None


class Infer:
    """The handler of the calls topics, in the per-event form."""

    def __init__(self, ports: InferPorts) -> None:
        self._ports = ports
        self.outside = ports.caller.outside
        self._takes = Batcher(ports.ledger.take)
        self._running: dict[tuple[str, str, int], asyncio.Event] = {}

    async def handle(self, delivery: Delivery) -> None:
        if delivery.value is None:
            return
        headers = dict(delivery.headers)
        if (needed := head.min_reader_of(headers)) > CALL_VERSION:
            raise NotForUs(f"needs a reader of version {needed}, this is {CALL_VERSION}: deploy the newer worker")
        call, run = PromptCall.decode(delivery.value), head.run_of(headers)
        key = (call.tenant, call.id, run)
        while (other := self._running.get(key)) is not None:
            # the same call came again while it runs here (its partition left and came back)
            await other.wait()
        done = self._running[key] = asyncio.Event()
        try:
            with self._ports.tracing.start("infer", call.traceparent, run=run) as span:
                traced = call if span.traceparent == call.traceparent else replace(call, traceparent=span.traceparent)
                await self._work(delivery, traced, run, head.epoch_of(headers))
        finally:
            del self._running[key]
            done.set()

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        """A fault of ours: a ledger transition where the call can be read, then its dead letter (rule L15)."""
        try:
            call, run = PromptCall.decode(delivery.value or b""), head.run_of(dict(delivery.headers))
        except (ValueError, TypeError):
            reason = Reason("infer", "unreadable", f"not a call of ours: {error!r}")
            await self._ports.producer.send([dead_letter(delivery, reason, self._ports.clock())])
            return
        epoch = head.epoch_of(dict(delivery.headers))
        taken = await self._takes.submit(Take(call.tenant, call.id, run, "", "", calls=False, epoch=epoch))
        if taken.grip in (Grip.TAKEN, Grip.EXHAUSTED, Grip.CANCELLED):
            ending = failed("internal", f"a fault of the service: {type(error).__name__}")
            await self._ports.settler.settle(delivery, _nothing_called(call, run, taken), Finish(ending))

    async def _work(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None) -> None:
        reading = self._ports.reading
        if reading is None or not reading.needed(call):
            await self._place(delivery, call, run, epoch, Read(call))
            return
        if self._overdue(parse_time(call.deadline) if call.deadline else None) is not None:
            await self._place(delivery, call, run, epoch, Read(call))
            return
        async with reading.read(call, run) as read:
            if not read.after or not await self._held(call, run, epoch, read.after, "document"):
                await self._place(delivery, call, run, epoch, read)

    async def _place(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None, read: Read) -> None:
        found, routes = self._where(read), self._ports.caller.routes
        if isinstance(found, Ending):
            await self._go(delivery, call, run, epoch, found)
            return
        if routes.full(found.to) and await self._held(call, run, epoch, routes.back_in(), "breaker"):
            return
        routes.hold(found.to)
        try:
            await self._go(delivery, call, run, epoch, found)
        finally:
            routes.let_go(found.to)

    async def _go(
        self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None, found: Where | Ending
    ) -> None:
        """To the place that was found, or to its end."""
        deadline, after, why = parse_time(call.deadline) if call.deadline else None, 0.0, "pacing"
        if not isinstance(found, Ending) and found.after:
            after, why = found.after, "document"
        # tokens come before the dispatch (rule L6)
        elif not isinstance(found, Ending) and not self._ports.caller.pace.free(found.to):
            if (after := await self._token(found.to, found.call)) and await self._held(call, run, epoch, after, why):
                return
            found = self._overdue(deadline) or found
        await self._ports.lease.ready()
        term = self._ports.lease.term
        taken = await self._take(call, run, epoch, found)
        if taken.grip is not Grip.TAKEN or isinstance(found, Ending):
            if not after and not isinstance(found, Ending):
                self._ports.caller.pace.give_back(found.to)
            await self._not_to_call(delivery, call, run, taken, found)
            return
        work = await self._begin(run, taken, found, deadline, term)
        if after:
            await self._ports.settler.park(work, self._ports.caller.not_sent(work, after, why))
        else:
            await self._answer(delivery, await self._paid(delivery, work))

    async def _take(self, call: PromptCall, run: int, epoch: int | None, found: Where | Ending) -> Taken:
        """Under the budgets of now: those that this worker knows may have changed meanwhile (rule L12)."""
        while True:
            purse = self._ports.purse
            take = Take(call.tenant, call.id, run, "", "", calls=False, epoch=epoch)
            if not isinstance(found, Ending):
                key, to = found.call.cache_key, found.to
                asks = None if call.fresh or key is None else question(key)
                reserve = purse.first(found.call, to)
                take = Take(
                    call.tenant, call.id, run, to.provider, to.model, True, epoch, asks, reserve, purse.version
                )  # fmt: skip
            taken = await self._takes.submit(take)
            if taken.grip is not Grip.OUTDATED:
                taken.reserved = take.reserve is not None
                return taken
            await purse.look(take.rules)

    async def _over_budget(self, delivery: Delivery, call: PromptCall, run: int, taken: Taken, over: Over) -> None:
        """Rejected, or it waits for its budget, as the request says (rule L12)."""
        if not call.reject_on_limit and not over.never:
            now = self._ports.clock()
            until = ask_again_at(over, now, parse_time(call.submitted_at))
            await self._ports.settler.hold(call, run, taken.epoch, (until - now).total_seconds(), "budget")
            return
        earlier = await self._earlier(call, taken.attempt + 1)
        ending = unaffordable(over, [attempt.outcome for attempt in earlier])
        await self._ports.settler.settle(delivery, _ended_after(call, run, taken, earlier), Finish(ending))

    async def _not_to_call(
        self, delivery: Delivery, call: PromptCall, run: int, taken: Taken, found: Where | Ending
    ) -> None:
        """What follows from a take that no call follows from."""
        if taken.grip is Grip.UNEMITTED:
            await self._ports.settler.emit_again(call, run, taken)
        elif taken.grip is Grip.BEHIND:
            self._ports.settler.waits(call, run)
        elif taken.grip is Grip.ANSWERED:
            await self._ports.settler.settle_as(call, run, taken)
        elif taken.grip is Grip.EXHAUSTED:
            await self._ports.settler.settle(delivery, await self._interrupted(call, run, taken), Finish(_UNKNOWN))
        elif taken.grip is Grip.CANCELLED:
            await self._uncalled(delivery, call, run, taken, cancelled(0))
        elif taken.grip is Grip.OVER_BUDGET and taken.over is not None:
            await self._over_budget(delivery, call, run, taken, taken.over)
        elif taken.grip is Grip.TAKEN and isinstance(found, Ending):
            await self._uncalled(delivery, call, run, taken, found)

    async def _token(self, deployment: Deployment, call: PromptCall) -> float:
        """0.0: the call may be made; otherwise it has to wait for so many seconds as a row."""
        if self._ports.caller.pace.free(deployment):
            return 0.0
        with self.outside.wait(LONGEST_S):
            return await self._ports.caller.pace.enter(deployment, call)

    async def _held(self, call: PromptCall, run: int, epoch: int | None, after: float, reason: str) -> bool:
        """False when the row does not stand where its call was produced: what became of it is for the take to say."""
        return epoch is not None and await self._ports.settler.hold(call, run, epoch, after, reason)

    def _where(self, read: Read) -> Where | Ending:
        """Where to call, or why no call may be made any more."""
        call = read.call
        deadline = parse_time(call.deadline) if call.deadline else None
        if (ending := self._overdue(deadline) or read.ending) is not None:
            return ending
        try:
            route = self._ports.catalogue.route(call.model, kinds(call.messages))
        except InvalidRequest as error:
            return rejected(error.code, str(error), error.problems)
        to = self._ports.caller.routes.first(route, call)
        return self._ports.purse.too_dear(call, to) or Where(route, to, call, read.after)

    def _overdue(self, deadline: datetime | None) -> Ending | None:
        if deadline is None or self._ports.clock() < deadline:
            return None
        return rejected("deadline_exceeded", "the deadline passed before the call")

    async def _begin(self, run: int, taken: Taken, where: Where, deadline: datetime | None, term: int) -> Work:
        call, route = where.call, where.route
        earlier = await self._earlier(call, taken.attempt)
        work = Work(
            call=call,
            run=run,
            epoch=taken.epoch,
            attempt=taken.attempt,
            deployment=where.to,
            schema=None if call.output_schema is None else compile_schema(call.output_schema),
            messages=call.messages,
            deadline=deadline,
            spent=spent_before(earlier, taken.attempt) if earlier else NOTHING,
            unheard=unheard(call, run, earlier, taken.attempt) if earlier else (),
            term=term,
            route=route,
            used=used_before(earlier, route.deployments[0], call.parameters.get("max_tokens")) if earlier else UNUSED,
            reserved=taken.reserved,
        )
        if call.max_cost_usd is not None and earlier:
            work.risked = self._ports.purse.risk(work, sum(attempt.outcome in _RISKY for attempt in earlier))
        return work

    async def _uncalled(self, delivery: Delivery, call: PromptCall, run: int, taken: Taken, ending: Ending) -> None:
        """End it without a further call: rejected, or failed where an earlier worker made one."""
        work = await self._interrupted(call, run, taken)
        state = State.FAILED if work.spent.attempts else State.REJECTED
        await self._ports.settler.settle(delivery, work, Finish(replace(ending, state=state)))

    async def _interrupted(self, call: PromptCall, run: int, taken: Taken) -> Work:
        """Work that ends without a further call, with what its earlier attempts used."""
        row = await persist(lambda: self._ports.ledger.find(call.tenant, call.id))
        return _ended_after(call, run, taken, row.attempts if row else ())

    async def _earlier(self, call: PromptCall, attempt: int) -> Sequence[Attempt]:
        """The attempts before this one; without a question to the ledger when it is the first."""
        if attempt <= 1:
            return ()
        row = await persist(lambda: self._ports.ledger.find(call.tenant, call.id))
        return row.attempts if row else ()

    async def _step(self, work: Work) -> Step:
        if self._ports.lease.fresh and self._ports.lease.term == work.term:
            return await self._ports.caller.attempt(work)
        # another may have taken it over meanwhile; nothing was sent: it waits, and whoever wakes it takes it up again
        await self._ports.lease.ready()
        return self._ports.caller.not_sent(work, 0.0, "lease")

    async def _paid(self, delivery: Delivery, work: Work) -> Work | None:
        """Work that goes on under a limit that was raised before its wait needs more than what was held for it."""
        if not work.reserved or work.used.max_tokens is None:
            return work
        return await self._following(delivery, work, self._ports.caller.not_begun(work))

    async def _following(self, delivery: Delivery, work: Work, step: Again) -> Work | None:
        """The next attempt, paid for; None where the run goes on no further for now."""
        settler = self._ports.settler
        found = await settler.ask_again(work, step, self._ports.purse.next(step.next))
        if isinstance(found, Over):
            self._ports.caller.pace.give_back(step.next.deployment)
            await settler.unpaid(delivery, work, step, found)
            return None
        return found

    async def _answer(self, delivery: Delivery, work: Work | None) -> None:
        """Attempt after attempt until the run is over, waits, or is not ours any more."""
        current = work
        while current is not None:
            step = await self._step(current)
            if isinstance(step, Finish):
                await self._ports.settler.settle(delivery, current, step)
                return
            if isinstance(step, Later):
                await self._ports.settler.park(current, step)
                return
            if after := await self._token(step.next.deployment, current.call):
                await self._ports.settler.park(current, Later(after, "pacing", step.called))
                return
            current = await self._following(delivery, current, step)


_RISKY = frozenset({"started", "unknown", "timeout"})
_UNKNOWN = failed(
    "unknown_outcome", "the worker died during the call and nobody knows its outcome; say rerun: true to ask again"
)


def _ended_after(call: PromptCall, run: int, taken: Taken, earlier: Sequence[Attempt]) -> Work:
    """Work that ends without a further call after those."""
    current = len(earlier) + 1
    work = _nothing_called(call, run, taken)
    return replace(work, spent=spent_before(earlier, current), unheard=unheard(call, run, earlier, current))


def _nothing_called(call: PromptCall, run: int, taken: Taken) -> Work:
    return Work(call, run, taken.epoch, taken.attempt, NOWHERE, None, [], None, NOTHING)
