"""infer: take a request under the lease, call the model, settle, produce, acknowledge. In that order, always.

Whatever has to wait becomes a waiting row. Once a call was made its outcome is kept in memory until the ledger has it,
however long the database is away: a paid answer is not asked for twice.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from agents.contract import NotForUs
from agents.emit import Reason, dead_letter
from agents.infer.caller import Caller
from agents.infer.settler import Settler, persist
from agents.infer.ways import LONGEST_S
from agents.infer.work import NOWHERE, Finish, Later, Step, Work
from agents.lease import LeaseKeeper
from agents.line import Delivery
from domain.batching import Batcher
from domain.caching.keys import question
from domain.errors import InvalidRequest
from domain.ledger.model import Attempt, Grip, State, Take, Taken
from domain.ledger.results import NOTHING, Ending, cancelled, failed, rejected, spent_before, unheard
from domain.output.recovery import UNUSED, used_before
from domain.output.schema import compile as compile_schema
from domain.ports import Ledger, Producer
from domain.routing.catalogue import Catalogue
from domain.routing.model import Alias, Deployment
from domain.tracing import Tracing
from topics import headers as head
from topics.base import parse_time
from topics.call import CALL_VERSION, PromptCall

Where = tuple[Alias, Deployment]
"""What a request's model stands for, and which of it is called first."""


@dataclass(frozen=True, slots=True)
class InferPorts:
    """What infer works with."""

    ledger: Ledger
    producer: Producer
    catalogue: Catalogue
    lease: LeaseKeeper
    caller: Caller
    settler: Settler
    tracing: Tracing
    clock: Callable[[], datetime]


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
        deadline = parse_time(call.deadline) if call.deadline else None
        found, after = self._where(call, deadline), 0.0
        # tokens come before the dispatch (rule L6)
        if not isinstance(found, Ending) and not self._ports.caller.pace.free(found[1]):
            if (after := await self._token(found[1], call)) and await self._held(call, run, epoch, after):
                return
            found = self._overdue(deadline) or found
        await self._ports.lease.ready()
        term = self._ports.lease.term
        provider, model = ("", "") if isinstance(found, Ending) else (found[1].provider, found[1].model)
        asks = None if call.fresh or call.cache_key is None else question(call.cache_key)
        take = Take(call.tenant, call.id, run, provider, model, not isinstance(found, Ending), epoch, asks)
        taken = await self._takes.submit(take)
        if taken.grip is not Grip.TAKEN or isinstance(found, Ending):
            if not after and not isinstance(found, Ending):
                self._ports.caller.pace.give_back(found[1])
            await self._not_to_call(delivery, call, run, taken, found)
            return
        work = await self._begin(call, run, taken, found, deadline, term)
        if after:
            await self._ports.settler.park(work, self._ports.caller.not_sent(work, after, "pacing"))
        else:
            await self._answer(delivery, work)

    async def _not_to_call(
        self, delivery: Delivery, call: PromptCall, run: int, taken: Taken, found: Where | Ending
    ) -> None:
        """What follows from a take that no call follows from."""
        if taken.grip is Grip.UNEMITTED:
            await self._ports.settler.emit_again(call, run, taken)
        elif taken.grip is Grip.ANSWERED:
            await self._ports.settler.settle_as(call, run, taken)
        elif taken.grip is Grip.EXHAUSTED:
            await self._ports.settler.settle(delivery, await self._interrupted(call, run, taken), Finish(_UNKNOWN))
        elif taken.grip is Grip.CANCELLED:
            await self._uncalled(delivery, call, run, taken, cancelled(0))
        elif taken.grip is Grip.TAKEN and isinstance(found, Ending):
            await self._uncalled(delivery, call, run, taken, found)

    async def _token(self, deployment: Deployment, call: PromptCall) -> float:
        """0.0: the call may be made; otherwise it has to wait for so many seconds as a row."""
        if self._ports.caller.pace.free(deployment):
            return 0.0
        with self.outside.wait(LONGEST_S):
            return await self._ports.caller.pace.enter(deployment, call)

    async def _held(self, call: PromptCall, run: int, epoch: int | None, after: float) -> bool:
        """False when the row does not stand where its call was produced: what became of it is for the take to say."""
        return epoch is not None and await self._ports.settler.hold(call, run, epoch, after, "pacing")

    def _where(self, call: PromptCall, deadline: datetime | None) -> Where | Ending:
        """Where to call, or why no call may be made any more."""
        if (ending := self._overdue(deadline)) is not None:
            return ending
        try:
            route = self._ports.catalogue.route(call.model)
        except InvalidRequest as error:
            return rejected(error.code, str(error), error.problems)
        return route, self._ports.caller.routes.first(route, call)

    def _overdue(self, deadline: datetime | None) -> Ending | None:
        if deadline is None or self._ports.clock() < deadline:
            return None
        return rejected("deadline_exceeded", "the deadline passed before the call")

    async def _begin(
        self,
        call: PromptCall,
        run: int,
        taken: Taken,
        where: Where,
        deadline: datetime | None,
        term: int,
    ) -> Work:
        earlier = await self._earlier(call, taken.attempt)
        return Work(
            call=call,
            run=run,
            epoch=taken.epoch,
            attempt=taken.attempt,
            deployment=where[1],
            schema=None if call.output_schema is None else compile_schema(call.output_schema),
            messages=call.messages,
            deadline=deadline,
            spent=spent_before(earlier, taken.attempt) if earlier else NOTHING,
            unheard=unheard(call, run, earlier, taken.attempt) if earlier else (),
            term=term,
            route=where[0],
            used=used_before(earlier, where[0].deployments[0], call.parameters.get("max_tokens"))
            if earlier
            else UNUSED,
        )

    async def _uncalled(self, delivery: Delivery, call: PromptCall, run: int, taken: Taken, ending: Ending) -> None:
        """End it without a further call: rejected, or failed where an earlier worker made one."""
        work = await self._interrupted(call, run, taken)
        state = State.FAILED if work.spent.attempts else State.REJECTED
        await self._ports.settler.settle(delivery, work, Finish(replace(ending, state=state)))

    async def _interrupted(self, call: PromptCall, run: int, taken: Taken) -> Work:
        """Work that ends without a further call, with what its earlier attempts used."""
        row = await persist(lambda: self._ports.ledger.find(call.tenant, call.id))
        earlier = row.attempts if row else ()
        current = len(earlier) + 1
        work = _nothing_called(call, run, taken)
        return replace(work, spent=spent_before(earlier, current), unheard=unheard(call, run, earlier, current))

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

    async def _answer(self, delivery: Delivery, work: Work) -> None:
        """Attempt after attempt until the run is over, waits, or is not ours any more."""
        current: Work | None = work
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
            current = await self._ports.settler.ask_again(current, step)


_UNKNOWN = failed(
    "unknown_outcome", "the worker died during the call and nobody knows its outcome; say rerun: true to ask again"
)


def _nothing_called(call: PromptCall, run: int, taken: Taken) -> Work:
    return Work(call, run, taken.epoch, taken.attempt, NOWHERE, None, [], None, NOTHING)
