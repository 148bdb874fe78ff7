"""A second call beside one that is slow, where an alias wants that (`hedge`): whichever completes first is the answer.

Only in the interactive lane, of first questions, within the budget of second calls. The second is an attempt of its own
before it is sent (rule L8), with a token, a fresh lease and money of its own (L6, L12). The other one is left then, and
billed as what is known of it.
"""

import asyncio
from dataclasses import dataclass, replace

import structlog

from agents.infer.ports import InferPorts
from agents.infer.speech import Speech
from agents.infer.till import unsent
from agents.infer.work import Again, Finish, Step, Work
from domain.ledger.model import State
from domain.ledger.results import UNHEARD, Called
from domain.output.recovery import UNUSED
from domain.routing.hedging import HedgeBudget, quantile

log = structlog.get_logger("infer")


@dataclass(frozen=True, slots=True)
class Try:
    """One of two attempts, on its way."""

    work: Work
    task: "asyncio.Task[Step]"

    @property
    def completed(self) -> bool:
        """Whether its answer is one to keep."""
        if not self.task.done() or self.task.cancelled() or self.task.exception() is not None:
            return False
        step = self.task.result()
        return isinstance(step, Finish) and step.ending.state is State.COMPLETED


class Hedger:
    """Makes attempts that may have a second one beside them."""

    def __init__(self, ports: InferPorts) -> None:
        self._ports = ports
        self._budgets: dict[str, HedgeBudget] = {}

    def after(self, work: Work) -> float | None:
        """Seconds after which a second call may be made beside this one; None where it stays alone."""
        percent, call = work.route.hedge, work.call
        if percent is None or call.lane != "interactive" or call.on_unknown_outcome == "fail":
            return None
        if work.used != UNUSED or work.tried:
            return None
        self._budget(work).earn()
        return quantile(self._ports.caller.routes.took(work.deployment), percent)

    async def attempt(self, work: Work, after: float) -> tuple[Work, Step]:
        """The attempt that counts and what follows from it; the other one's outcome is in the ledger then."""
        caller, speech = self._ports.caller, self._ports.caller.speech(work)
        tries = [Try(work, asyncio.ensure_future(caller.attempt(work, speech)))]
        try:
            await asyncio.wait([tries[0].task], timeout=after)
            further = None if _settled(tries[0], speech) else await self._safely(tries[0])
            if further is None:
                return work, await tries[0].task
            if _settled(tries[0], speech) or not self._fresh(work):
                await asyncio.wait([tries[0].task])
                return await self._carry_on(tries[0], further, unsent(further, self._ports.clock()))
            tries.append(Try(further, asyncio.ensure_future(caller.attempt(further))))
            return await self._race(tries[0], tries[1], speech)
        finally:
            for one in tries:
                one.task.cancel()

    async def _safely(self, first: Try) -> Work | None:
        """A fault here is no reason to lose the first call."""
        try:
            return await self._begin(first)
        except Exception:
            log.exception("fault", stage="infer", what="hedge")
            return None

    async def _begin(self, first: Try) -> Work | None:
        """The second attempt, recorded as started and not sent; None where there is none."""
        ports, budget, work = self._ports, self._budget(first.work), first.work
        other = next(iter(ports.caller.routes.beside(work.route, work.call, work.deployment)), None)
        if other is None:
            return None
        further = replace(work, deployment=other, tried=(work.deployment.name,))
        if work.call.max_cost_usd is not None:
            further.risked += ports.purse.risk(work, 1)
        if ports.purse.beyond(further, work.spent.cost_usd) is not None or not await self._token(first, further):
            return None
        if first.task.done() or not self._fresh(work) or not budget.spend():
            ports.caller.pace.give_back(other)
            return None
        begun = await ports.settler.beside(work, further, ports.purse.next(further))
        if begun is None:
            budget.give_back()
            ports.caller.pace.give_back(other)
        return begun

    async def _token(self, first: Try, further: Work) -> bool:
        """Whether the second deployment lets a call go before the first one has answered."""
        caller, to = self._ports.caller, further.deployment
        if caller.pace.free(to):
            return True
        token = asyncio.ensure_future(caller.token(to, further.call))
        try:
            await asyncio.wait([first.task, token], return_when=asyncio.FIRST_COMPLETED)
            return token.done() and token.result() == 0.0
        finally:
            token.cancel()

    async def _race(self, first: Try, second: Try, speech: Speech | None) -> tuple[Work, Step]:
        if speech is not None:
            # what the first begins to say cannot be taken back: the second is not waited for any more
            speech.begun = lambda: self._ports.caller.leave(second.work, second.task)
        await asyncio.wait([first.task, second.task], return_when=asyncio.FIRST_COMPLETED)
        if not (first.completed or second.completed):
            await asyncio.wait([first.task, second.task])
        won = second if second.completed and not first.completed else first
        lost = first if won is second else second
        self._ports.caller.leave(lost.work, lost.task)
        await asyncio.wait([lost.task])
        if not won.completed:
            self._ports.caller.metrics.count("hedges", won="neither")
            return await self._neither(first, second)
        self._ports.caller.metrics.count("hedges", won="second" if won is second else "first")
        return await self._kept(won, _called(lost))

    async def _neither(self, first: Try, second: Try) -> tuple[Work, Step]:
        """It goes on as if there had been no second call, but not to where that one was made."""
        mine, other = first.task.result(), _called(second)
        tried = second.work.deployment.name
        there = isinstance(mine, Again) and mine.next.used == UNUSED and mine.next.deployment.name == tried
        if there and other is not None:
            return await self._kept(second, mine.called)
        return await self._carry_on(first, second.work, other or unsent(second.work, self._ports.clock()), tried)

    async def _carry_on(self, first: Try, further: Work, called: Called, *tried: str) -> tuple[Work, Step]:
        """By what follows from the first; the next attempt follows the last one, which came to `called`."""
        step = first.task.result()
        if not isinstance(step, Again):
            return await self._kept(first, called)
        await self._ports.settler.aside(first.work, step.called)
        work = replace(first.work, attempt=further.attempt, spent=first.work.spent.with_called(step.called))
        following = replace(step.next, tried=(*step.next.tried, *tried))
        if work.call.max_cost_usd is not None and called.outcome in UNHEARD:
            following.risked += self._ports.purse.risk(further, 1)
        otherwise = replace(step.otherwise, called=called)
        if self._ports.purse.beyond(following, work.spent.cost_usd + called.cost_usd) is not None:
            return work, otherwise
        return work, Again(called, following, otherwise)

    async def _kept(self, kept: Try, other: Called | None) -> tuple[Work, Step]:
        """One of the two, after the outcome of the other was recorded."""
        work = kept.work
        if other is not None:
            await self._ports.settler.aside(work, other)
            work = replace(work, spent=work.spent.with_called(other))
        return work, kept.task.result()

    def _fresh(self, work: Work) -> bool:
        """Looked at before the row is written, and before it is sent: the process may have been stopped meanwhile."""
        return self._ports.lease.fresh and self._ports.lease.term == work.term

    def _budget(self, work: Work) -> HedgeBudget:
        return self._budgets.setdefault(work.call.model, HedgeBudget())


def _called(lost: Try) -> Called | None:
    """What came of the other one; None after a fault of ours, of which its row is left as started."""
    if (fault := lost.task.exception()) is not None:
        log.error("fault", stage="infer", what="hedge", exc_info=fault)
        return None
    return lost.task.result().called


def _settled(first: Try, speech: Speech | None) -> bool:
    """Whether it has answered, or begun to say what cannot be taken back."""
    return first.task.done() or (speech is not None and speech.said > 0)
