"""Calls that were let go, and another one is refused before they are sent."""

import asyncio

from agents.infer.handler import Infer
from domain.errors import ModelError
from domain.routing.model import Deployment
from tests.line.memory_line import MemoryLine, request


def refused(retry_after: float) -> ModelError:
    return ModelError("too many", outcome="rate_limited", sent=True, retryable=True, retry_after=retry_after)


async def held_before_it_is_sent(line: MemoryLine) -> tuple[Infer, Deployment, "asyncio.Task[None]"]:
    """A call that has its token, and waits for the lease."""
    infer = await line.infer()
    await line.answer(request("r0"), infer)
    lease = infer._ports.lease
    lease._sent_at = -60.0
    await line.intake().handle_batch([line.publish(request("r1", prompt="another"))])
    task = asyncio.ensure_future(infer.handle(line.calls()[-1]))
    await asyncio.sleep(0.05)
    deployment = next(one for one in line.preparer.catalogue.deployments if one.model == "small")
    assert infer._ports.caller.pace.free(deployment)
    return infer, deployment, task


async def goes_on(infer: Infer, task: "asyncio.Task[None]") -> None:
    infer._ports.lease._sent_at = 0.0
    infer._ports.lease._renewed.set()
    async with asyncio.timeout(10):
        await task


async def test_L6_a_call_that_was_let_go_is_not_sent_after_another_one_was_refused() -> None:
    line = MemoryLine()
    infer, deployment, task = await held_before_it_is_sent(line)
    infer._ports.caller.pace.failed(deployment, refused(600.0), 0.01)
    await goes_on(infer, task)
    assert len(line.model.calls) == 1
    assert line.store.waiting["acme", "r1"].reason == "pacing"


async def test_a_refusal_of_long_ago_holds_nothing_back() -> None:
    line = MemoryLine()
    infer, deployment, task = await held_before_it_is_sent(line)
    infer._ports.caller.pace.failed(deployment, refused(0.001), 0.01)
    await asyncio.sleep(0.05)
    line.pass_time(seconds=1)
    await goes_on(infer, task)
    assert len(line.model.calls) == 2


async def test_a_new_token_is_good_for_the_call_that_has_it() -> None:
    line = MemoryLine()
    infer, deployment, task = await held_before_it_is_sent(line)
    infer._ports.caller.pace.failed(deployment, refused(0.001), 0.01)
    ends = asyncio.ensure_future(goes_on(infer, task))
    while not ends.done():
        # the pace grows with the line's own time; the first calls go long before the refusal is old
        line.pass_time(milliseconds=1)
        await asyncio.sleep(0.001)
    await ends
    assert len(line.model.calls) == 2
