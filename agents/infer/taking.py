"""Taking a request under the lease: what the ledger gives, and what follows where that is no call."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from agents.infer.persisting import persist
from agents.infer.ports import InferPorts, Where
from agents.infer.purse import unaffordable
from agents.infer.work import NOWHERE, Finish, Work
from agents.line import Delivery
from domain.batching import Batcher, ByLane
from domain.budgets.model import Over
from domain.budgets.rules import ask_again_at
from domain.caching.keys import question
from domain.ledger.model import Attempt, Grip, State, Take, Taken
from domain.ledger.results import NOTHING, UNHEARD, Ending, cancelled, failed, spent_before, unheard
from domain.output.recovery import UNUSED, Used, used_before
from domain.output.schema import compile as compile_schema
from domain.routing.model import Alias, Deployment
from topics.base import parse_time
from topics.call import PromptCall


class Taker:
    """Takes in natural batches."""

    def __init__(self, ports: InferPorts) -> None:
        self._ports = ports
        self._takes = ByLane(ports.ledger.take)
        self._tried = Batcher(ports.ledger.tried)

    async def before(self, call: PromptCall, route: Alias, run: int, epoch: int | None) -> tuple[Attempt, ...]:
        """The attempts of a run that came back, where they decide on the next one: on who is called, and what is held.

        Read before the take, so that it names the attempt that is made: under the call's epoch it finds the same ones.
        """
        if epoch == 0 or (len(route.deployments) < 2 and not self._ports.purse.pays(call.tenant)):
            return ()
        return await self.tried(call, run)

    async def tried(self, call: PromptCall, run: int) -> tuple[Attempt, ...]:
        """All attempts of the run."""
        return await persist(lambda: self._tried.submit((call.tenant, call.id, run)))

    async def take(self, call: PromptCall, run: int, epoch: int | None, found: Where | Ending) -> Taken:
        """Under the budgets of now: those that this worker knows may have changed meanwhile (rule L12)."""
        while True:
            purse = self._ports.purse
            take = Take(call.tenant, call.id, run, "", "", calls=False, epoch=epoch)
            if not isinstance(found, Ending):
                key, to = found.call.cache_key, found.to
                asks = None if call.fresh or key is None else question(key)
                reserve = purse.first(found.call, to, _used(found))
                take = Take(
                    call.tenant, call.id, run, to.provider, to.model, True, epoch, asks, reserve, purse.version
                )  # fmt: skip
            taken = await self._takes.submit(call.lane, take)
            if taken.grip is not Grip.OUTDATED:
                taken.reserved = take.reserve is not None
                return taken
            await purse.look(take.rules)
            if not isinstance(found, Ending):
                found = found._replace(earlier=await self.before(found.call, found.route, run, epoch))

    async def bury(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None, ending: Ending) -> None:
        """End what nobody can work on, where it stands as its call says (rule L15)."""
        taken = await self._takes.submit(call.lane, Take(call.tenant, call.id, run, "", "", calls=False, epoch=epoch))
        if taken.grip in (Grip.TAKEN, Grip.EXHAUSTED, Grip.CANCELLED):
            await self._ports.settler.settle(delivery, nothing_called(call, run, taken), Finish(ending))

    async def begin(self, run: int, taken: Taken, where: Where, deadline: datetime | None, term: int) -> Work:
        """The work of what was taken to be called."""
        call, route = where.call, where.route
        earlier = await self._earlier(call, run, taken.attempt, where.earlier)
        work = Work(
            call=call,
            run=run,
            epoch=taken.epoch,
            attempt=taken.attempt,
            deployment=await self._recorded(run, taken, where),
            schema=None if call.output_schema is None else compile_schema(call.output_schema),
            messages=call.messages,
            deadline=deadline,
            spent=spent_before(earlier, taken.attempt) if earlier else NOTHING,
            unheard=unheard(call, run, earlier, taken.attempt) if earlier else (),
            term=term,
            route=route,
            used=_used(where if where.earlier else where._replace(earlier=earlier)),
            reserved=taken.reserved,
        )
        if call.max_cost_usd is not None and earlier:
            work.risked = self._ports.purse.risk(work, sum(attempt.outcome in UNHEARD for attempt in earlier))
        return work

    async def _recorded(self, run: int, taken: Taken, where: Where) -> Deployment:
        """Where the attempt goes: a statement whose answer was lost may have recorded it for another deployment."""
        if not taken.retaken or len(where.route.deployments) < 2:
            return where.to
        last = (await self.tried(where.call, run))[-1]
        named = (one for one in where.route.deployments if (one.provider, one.model) == (last.provider, last.model))
        to = next(named, where.to)
        if to is not where.to:
            self._ports.caller.pace.give_back(where.to)
        return to

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
        earlier = await self._earlier(call, run, taken.attempt + 1)
        ending = unaffordable(over, [attempt.outcome for attempt in earlier])
        await self._ports.settler.settle(delivery, _ended_after(call, run, taken, earlier), Finish(ending))

    async def _uncalled(self, delivery: Delivery, call: PromptCall, run: int, taken: Taken, ending: Ending) -> None:
        """End it without a further call: rejected, or failed where an earlier worker made one."""
        work = await self._interrupted(call, run, taken)
        state = State.FAILED if work.spent.attempts else State.REJECTED
        await self._ports.settler.settle(delivery, work, Finish(replace(ending, state=state)))

    async def _interrupted(self, call: PromptCall, run: int, taken: Taken) -> Work:
        """Work that ends without a further call, with what its earlier attempts used."""
        return _ended_after(call, run, taken, await self.tried(call, run))

    async def _earlier(
        self, call: PromptCall, run: int, attempt: int, known: tuple[Attempt, ...] = ()
    ) -> tuple[Attempt, ...]:
        """The attempts before this one; without a question to the ledger when it is the first, or they are `known`.

        Those that nobody had heard of when they were read are read again: their outcome may have come in since.
        """
        if attempt <= 1:
            return ()
        if len(known) == attempt - 1 and all(one.record is not None for one in known):
            return known
        return await self.tried(call, run)


_UNKNOWN = failed(
    "unknown_outcome", "the worker died during the call and nobody knows its outcome; say rerun: true to ask again"
)


def _used(where: Where) -> Used:
    """What of its repair budget the attempts before used."""
    if not where.earlier:
        return UNUSED
    return used_before(where.earlier, where.route.deployments, where.call.parameters.get("max_tokens"))


def _ended_after(call: PromptCall, run: int, taken: Taken, earlier: Sequence[Attempt]) -> Work:
    """Work that ends without a further call after those."""
    current = len(earlier) + 1
    work = nothing_called(call, run, taken)
    return replace(work, spent=spent_before(earlier, current), unheard=unheard(call, run, earlier, current))


def nothing_called(call: PromptCall, run: int, taken: Taken) -> Work:
    """Work that ends without a call."""
    return Work(call, run, taken.epoch, taken.attempt, NOWHERE, None, [], None, NOTHING)
