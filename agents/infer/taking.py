"""Taking a request under the lease: what the ledger gives, and what follows where that is no call."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agents.infer.persisting import persist
from agents.infer.ports import InferPorts, Where
from agents.infer.purse import unaffordable
from agents.infer.work import NOWHERE, Finish, Work
from agents.line import Delivery
from domain.batching import Batcher
from domain.budgets.model import Over
from domain.budgets.rules import ask_again_at
from domain.caching.keys import question
from domain.ledger.model import Attempt, Grip, State, Take, Taken
from domain.ledger.results import NOTHING, UNHEARD, Ending, cancelled, failed, spent_before, unheard
from domain.output.recovery import UNUSED, escalated_to, used_before
from domain.output.schema import compile as compile_schema
from topics.base import parse_time
from topics.call import PromptCall


class Taker:
    """Takes in natural batches."""

    def __init__(self, ports: InferPorts) -> None:
        self._ports = ports
        self._takes = Batcher(ports.ledger.take)

    async def take(self, call: PromptCall, run: int, epoch: int | None, found: Where | Ending) -> Taken:
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

    async def bury(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None, ending: Ending) -> None:
        """End what nobody can work on, where it stands as its call says (rule L15)."""
        taken = await self._takes.submit(Take(call.tenant, call.id, run, "", "", calls=False, epoch=epoch))
        if taken.grip in (Grip.TAKEN, Grip.EXHAUSTED, Grip.CANCELLED):
            await self._ports.settler.settle(delivery, nothing_called(call, run, taken), Finish(ending))

    async def begin(self, run: int, taken: Taken, where: Where, deadline: datetime | None, term: int) -> Work:
        """The work of what was taken to be called."""
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
            used=used_before(earlier, route.deployments, call.parameters.get("max_tokens")) if earlier else UNUSED,
            resumes=escalated_to(earlier, route.deployments) if earlier else None,
            reserved=taken.reserved,
        )
        if call.max_cost_usd is not None and earlier:
            work.risked = self._ports.purse.risk(work, sum(attempt.outcome in UNHEARD for attempt in earlier))
        return work

    async def not_to_call(
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


_UNKNOWN = failed(
    "unknown_outcome", "the worker died during the call and nobody knows its outcome; say rerun: true to ask again"
)


def _ended_after(call: PromptCall, run: int, taken: Taken, earlier: Sequence[Attempt]) -> Work:
    """Work that ends without a further call after those."""
    current = len(earlier) + 1
    work = nothing_called(call, run, taken)
    return replace(work, spent=spent_before(earlier, current), unheard=unheard(call, run, earlier, current))


def nothing_called(call: PromptCall, run: int, taken: Taken) -> Work:
    """Work that ends without a call."""
    return Work(call, run, taken.epoch, taken.attempt, NOWHERE, None, [], None, NOTHING)
