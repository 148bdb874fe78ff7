"""Deadlines at every stage of a request, without a broker or a provider."""

from typing import Any

from connectors.memory.model import says
from domain.accounts.model import Tenant
from domain.errors import ModelError
from domain.routing.model import ModelCall, ModelReply
from tests.line.memory_line import MemoryLine, claimed, outcomes, request, running, the_end

AT_TEN = "2026-01-01T00:00:10.000Z"


async def test_a_deadline_that_passed_before_the_claim_rejects_without_a_call() -> None:
    line = MemoryLine()
    delivery = line.publish(request(deadline=AT_TEN))
    line.pass_time(seconds=11)
    await line.intake().handle_batch([delivery])
    assert (the_end(line), line.calls()) == (("rejected", "deadline_exceeded", 0), [])


async def test_a_deadline_that_passes_while_it_waits_for_its_turn_rejects_it() -> None:
    line = MemoryLine(tenants=[Tenant("acme", requests_per_minute=1, burst=1)])
    await line.answer(request("r0"))
    line.broker.log["prompt.results"].clear()
    assert await line.answer(request(prompt="Other?", deadline=AT_TEN)) is None
    line.pass_time(seconds=11)
    await line.wake().sweep()
    assert the_end(line) == ("rejected", "deadline_exceeded", 0)


async def test_a_deadline_that_passes_between_the_take_and_the_call_makes_none() -> None:
    line = MemoryLine()
    infer, delivery = await line.infer(), await claimed(line, deadline=AT_TEN)
    take = infer._ports.ledger.take

    async def slow(batch: Any) -> Any:
        answers = await take(batch)
        line.pass_time(seconds=11)
        return answers

    infer._taker._takes._run = slow
    await infer.handle(delivery)
    assert the_end(line)[:2] == ("failed", "deadline_exceeded")
    assert line.model.calls == []


async def test_a_deadline_that_passes_during_the_call_leaves_it_and_bills_it_as_what_it_was() -> None:
    def hangs(call: ModelCall) -> ModelReply:
        assert call.timeout_s == 10.0  # what is left, not the provider's minute
        line.pass_time(seconds=10)
        raise ModelError("no answer in time", outcome="timeout", sent=True, retryable=True)

    line = MemoryLine([hangs])
    await line.answer(request(deadline=AT_TEN))
    assert (the_end(line), outcomes(line)) == (("failed", "deadline_exceeded", 1), ["timeout"])


async def test_a_deadline_that_passes_between_two_calls_ends_it_with_the_first_ones_bill() -> None:
    def slow(_: ModelCall) -> ModelReply:
        line.pass_time(seconds=11)
        return says({"label": "ugly"})

    line = MemoryLine([slow])
    await line.answer(request(deadline=AT_TEN))
    assert (the_end(line), outcomes(line)) == (("failed", "deadline_exceeded", 1), ["invalid_output"])
    assert len(line.model.calls) == 1


async def test_a_deadline_that_passes_with_a_dead_worker_ends_it_and_its_call_is_unknown() -> None:
    line = MemoryLine()
    work = await running(line, await line.infer("dying"), await claimed(line, deadline=AT_TEN))
    work.cancel()
    line.model.let_go()
    line.pass_time(seconds=31)
    await line.wake().sweep()
    assert (the_end(line), outcomes(line)) == (("failed", "deadline_exceeded", 1), ["unknown"])
