"""Attempt after attempt at a request that was taken, until its run is over, waits, or is not ours any more."""

from agents.infer.embedding import Text
from agents.infer.hedging import Hedger
from agents.infer.ports import InferPorts
from agents.infer.ways import LONGEST_S
from agents.infer.work import Again, Finish, Later, Step, Work
from agents.line import Delivery
from domain.budgets.model import Over


class Answering:
    """From one attempt to the next: tokens, lease and money are asked for before each."""

    def __init__(self, ports: InferPorts) -> None:
        self._ports = ports
        self._hedger = Hedger(ports)

    async def answer(self, delivery: Delivery, work: Work) -> None:
        """From the attempt that is recorded on."""
        current: Work | None = work
        while current is not None:
            current, step = await self._step(current)
            if isinstance(step, Finish):
                if await self._ports.settler.settle(delivery, current, step) and current.call.similar is not None:
                    await self._learn(current, step)
                return
            if isinstance(step, Later):
                await self._ports.settler.park(current, step)
                return
            if after := await self._ports.caller.token(step.next.deployment, current.call):
                await self._ports.settler.park(current, Later(after, "pacing", step.called))
                return
            current = await self._following(delivery, current, step)

    async def _learn(self, work: Work, step: Finish) -> None:
        """What came of it, for others who ask the same in other words."""
        similar, called = self._ports.similar, step.called
        if similar is None or called is None:
            return
        with self._ports.caller.outside.wait(LONGEST_S):
            text = Text(work.call, work.run, work.epoch)
            bill = await similar.learn(text, step.ending, work.spent.with_called(called))
        if bill is not None:
            await self._ports.settler.tell(bill)
            await similar.told(bill)

    async def _step(self, work: Work) -> tuple[Work, Step]:
        """The attempt that was made, of two that one which counts, and what follows from it."""
        caller = self._ports.caller
        # a provider that refused a call meanwhile would refuse this one too (rule L6)
        void = caller.pace.void(work.deployment, work.call)
        if void and (wait := await caller.token(work.deployment, work.call)):
            return work, caller.not_sent(work, wait, "pacing")
        if not self._ports.lease.fresh or self._ports.lease.term != work.term:
            # another may have taken it over meanwhile; nothing was sent: it waits, and who wakes it takes it up again
            await self._ports.lease.ready()
            return work, caller.not_sent(work, 0.0, "lease")
        if work.route.hedge is not None and (after := self._hedger.after(work)) is not None:
            return await self._hedger.attempt(work, after)
        return work, await caller.attempt(work, caller.speech(work))

    async def _following(self, delivery: Delivery, work: Work, step: Again) -> Work | None:
        """The next attempt, paid for; None where the run goes on no further for now."""
        settler = self._ports.settler
        found = await settler.ask_again(work, step, self._ports.purse.next(step.next))
        if isinstance(found, Over):
            self._ports.caller.pace.give_back(step.next.deployment)
            await settler.unpaid(delivery, work, step, found)
            return None
        return found
