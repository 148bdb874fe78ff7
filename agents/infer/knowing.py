"""A request that is answered by what is known in other words, without a call."""

from dataclasses import replace

from agents.infer.embedding import Text
from agents.infer.ports import InferPorts
from agents.infer.similar import Hit
from agents.infer.taking import Taker, nothing_called
from agents.infer.ways import LONGEST_S
from agents.infer.work import Finish
from agents.line import Delivery
from domain.ledger.model import Grip
from topics.call import PromptCall


class Knowing:
    """Before the take, also while no provider can be called."""

    def __init__(self, ports: InferPorts, taker: Taker) -> None:
        self._ports = ports
        self._taker = taker

    async def given(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None) -> bool:
        """Whether it was; never in the place of a call that was made."""
        similar = self._ports.similar
        if similar is None or call.fresh or call.cache_key is None:
            return False
        with self._ports.caller.outside.wait(LONGEST_S):
            hit = await similar.find(Text(call, run, epoch or 0))
        # under its first epoch nobody has taken it yet
        if hit is None or (epoch != 0 and await self._was_called(call, run)):
            return False
        await self._give(delivery, call, run, epoch, hit)
        return True

    def forget(self, call: PromptCall, run: int) -> None:
        """The run is in other hands, or over."""
        if self._ports.similar is not None:
            self._ports.similar.forget(call, run)

    async def _was_called(self, call: PromptCall, run: int) -> bool:
        return bool(await self._taker.tried(call, run))

    async def _give(self, delivery: Delivery, call: PromptCall, run: int, epoch: int | None, hit: Hit) -> None:
        await self._ports.lease.ready()
        taken = await self._taker.take(call, run, epoch, hit.ending)
        if taken.grip is not Grip.TAKEN:
            await self._taker.not_to_call(delivery, call, run, taken, hit.ending)
            return
        work = replace(nothing_called(call, run, taken), unheard=(hit.bill.record or b"",))
        if await self._ports.settler.settle(delivery, work, Finish(hit.ending)) and self._ports.similar is not None:
            await self._ports.similar.told(hit.bill)
