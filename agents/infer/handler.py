"""infer: take a request under the lease, call the model, settle, produce, acknowledge. In that order, always.

Whatever has to wait becomes a waiting row. Once a call was made its outcome is kept in memory until the ledger has it,
however long the database is away: a paid answer is not asked for twice.
"""

import asyncio
from dataclasses import replace
from datetime import datetime

from agents.contract import NotForUs
from agents.emit import Reason, dead_letter
from agents.infer.admitting import admitted
from agents.infer.answering import Answering
from agents.infer.documents import Read
from agents.infer.knowing import Knowing
from agents.infer.ports import InferPorts, Where
from agents.infer.taking import Taker
from agents.line import Delivery
from domain.errors import InvalidRequest
from domain.ledger.model import Grip
from domain.ledger.results import Ending, failed, rejected
from domain.output.recovery import escalated_to
from domain.routing.parts import kinds
from domain.tracing import of_request, received
from topics import headers as head
from topics.base import parse_time
from topics.call import CALL_VERSION, PromptCall


class Infer:
    """The handler of the calls topics, in the per-event form."""

    def __init__(self, ports: InferPorts) -> None:
        self._ports = ports
        self.outside = ports.caller.outside
        self._taker = Taker(ports)
        self._answering = Answering(ports)
        self._knowing = Knowing(ports, self._taker)
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
            with self._ports.tracing.start(f"process prompt.calls.{call.lane}", call.traceparent, "consumer") as span:
                if span.recording:
                    place = received(delivery.topic, delivery.partition, delivery.offset)
                    span.note(place | of_request(call.tenant, call.id, run))
                traced = call if span.traceparent == call.traceparent else replace(call, traceparent=span.traceparent)
                await self._work(delivery, traced, run, head.epoch_of(headers))
        finally:
            if call.similar is not None:
                self._knowing.forget(call, run)
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
        ending = failed("internal", f"a fault of the service: {type(error).__name__}")
        await self._taker.bury(delivery, call, run, head.epoch_of(dict(delivery.headers)), ending)

    async def _work(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None) -> None:
        reading = self._ports.reading
        if reading is None or not reading.needed(call):
            await self._place(delivery, call, run, epoch, Read(call))
            return
        if self._overdue(_deadline(call)) is not None:
            await self._place(delivery, call, run, epoch, Read(call))
            return
        async with reading.read(call, run) as read:
            if not read.after or not await self._held(call, run, epoch, read.after, "document"):
                await self._place(delivery, call, run, epoch, read)

    async def _place(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None, read: Read) -> None:
        found, routes = await self._where(read, run, epoch), self._ports.caller.routes
        if isinstance(found, Ending):
            await self._go(delivery, call, run, epoch, found)
            return
        if call.similar is not None and await self._knowing.given(delivery, call, run, epoch):
            return
        if routes.full(found.to) and await self._held(call, run, epoch, routes.back_in(), "breaker"):
            return
        with routes.slot(found.to) as slot:
            if found.after or self._ports.caller.pace.free(found.to):
                await self._go(delivery, call, run, epoch, found)
                return
            # tokens come before the dispatch (rule L6)
            found = await admitted(self._ports, found)
            routes.move(slot, found.to)
            if not found.after or not await self._held(call, run, epoch, found.after, found.why):
                await self._go(delivery, call, run, epoch, self._overdue(_deadline(call)) or found)

    async def _go(
        self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None, found: Where | Ending
    ) -> None:
        """To the place that was found, or to its end."""
        await self._ports.lease.ready()
        term = self._ports.lease.term
        taken = await self._taker.take(call, run, epoch, found)
        if taken.grip is not Grip.TAKEN or isinstance(found, Ending):
            if not isinstance(found, Ending) and not found.after:
                self._ports.caller.pace.give_back(found.to)
            await self._taker.not_to_call(delivery, call, run, taken, found)
            return
        work = await self._taker.begin(run, taken, found, _deadline(call), term)
        if found.after:
            await self._ports.settler.park(work, self._ports.caller.not_sent(work, found.after, found.why))
        else:
            await self._answering.answer(delivery, work)

    async def _held(self, call: PromptCall, run: int, epoch: int | None, after: float, reason: str) -> bool:
        """False when the row does not stand where its call was produced: what became of it is for the take to say."""
        return epoch is not None and await self._ports.settler.hold(call, run, epoch, after, reason)

    async def _where(self, read: Read, run: int, epoch: int | None) -> Where | Ending:
        """Where to call, or why no call may be made any more."""
        call = read.call
        if (ending := self._overdue(_deadline(call)) or read.ending) is not None:
            return ending
        try:
            route = self._ports.catalogue.route(call.model, kinds(call.messages))
        except InvalidRequest as error:
            return rejected(error.code, str(error), error.problems)
        earlier = await self._taker.before(call, route, run, epoch)
        to = escalated_to(earlier, route.deployments) if earlier else None
        resumes = to is not None and self._ports.caller.routes.well(to)
        if to is None or not resumes:
            to = self._ports.caller.routes.first(route, call)
        too_dear = self._ports.purse.too_dear(call, to)
        return too_dear or Where(route, to, call, read.after, earlier=earlier, resumes=resumes)

    def _overdue(self, deadline: datetime | None) -> Ending | None:
        if deadline is None or self._ports.clock() < deadline:
            return None
        return rejected("deadline_exceeded", "the deadline passed before the call")


def _deadline(call: PromptCall) -> datetime | None:
    return parse_time(call.deadline) if call.deadline else None
