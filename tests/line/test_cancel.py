"""Cancelling and deadlines at every stage of a request (rule L11), without a broker or a provider."""

import asyncio

import pytest

from agents.infer.cancelling import listen
from connectors.memory.jobs import MemoryJobs
from connectors.memory.ledger import MemoryLedger
from connectors.memory.model import says
from domain.accounts.model import Tenant
from domain.errors import ModelError
from domain.jobs.model import Job
from domain.ledger.model import Cancel, Cancelling
from domain.routing.model import ModelCall, ModelReply
from tests.line.memory_line import MemoryLine, claimed, outcomes, request, running, the_end
from topics.headers import REPLY_TO
from topics.records import LifecycleEvent


async def cancel(line: MemoryLine, id: str = "r1") -> Cancelling:
    answer = (await MemoryLedger(line.store, line.clock).cancel([Cancel("acme", id)]))[0]
    assert isinstance(answer, Cancelling)
    return answer


async def test_L11_what_is_cancelled_before_its_claim_is_rejected_without_a_call() -> None:
    line = MemoryLine()
    job = Job("acme", "r1", b"\x01" + b"h" * 32, b"{}", line.now)
    await MemoryJobs(line.store, line.clock).submit([job])
    assert await cancel(line) is Cancelling.ASKED
    await line.intake().handle_batch([line.publish(request()), line.publish(request("r2"))])
    assert [call.key for call in line.calls()] == [b"acme/r2"]
    assert the_end(line) == ("rejected", "cancelled", 0)
    await line.wake().end_cancelled()
    assert (len(line.out("prompt.results")), line.model.calls) == (1, [])


async def test_L11_a_redelivery_of_what_was_cancelled_before_its_claim_goes_no_further() -> None:
    line = MemoryLine()
    delivery = line.publish(request())
    await line.intake().handle_batch([delivery])
    await cancel(line)
    line.calls()
    await line.intake().handle_batch([delivery])
    assert line.calls() == []
    await line.wake().end_cancelled()
    assert the_end(line) == ("rejected", "cancelled", 0)


async def test_L11_a_call_on_its_way_is_rejected_at_once_and_never_made() -> None:
    line = MemoryLine()
    delivery = await claimed(line)
    await cancel(line)
    await line.wake().end_cancelled()
    assert the_end(line) == ("rejected", "cancelled", 0)
    await (await line.infer()).handle(delivery)
    assert line.model.calls == []


async def test_L11_a_worker_that_takes_it_first_rejects_it_without_a_call() -> None:
    line = MemoryLine()
    delivery = await claimed(line)
    await cancel(line)
    await (await line.infer()).handle(delivery)
    assert the_end(line) == ("rejected", "cancelled", 0)
    line.pass_time(seconds=5)
    await line.wake().end_cancelled()
    assert (len(line.out("prompt.results")), line.model.calls, outcomes(line)) == (1, [], [])


async def test_L11_what_waits_for_its_turn_is_rejected_and_what_was_called_fails_with_its_bill() -> None:
    line = MemoryLine([ModelError("slow down", outcome="error", sent=True, retryable=True, status=500)])
    assert await line.answer(request()) is None
    line.accounts = type(line.accounts)([Tenant("acme", requests_per_minute=60, burst=1)])
    for id in ("r2", "r3"):
        await line.intake().handle_batch([line.publish(request(id, prompt=id))])
    for id in ("r1", "r3"):
        assert await cancel(line, id) is Cancelling.ASKED
    await line.wake().end_cancelled()
    ends = {
        row["id"]: (row["status"], row["error"]["code"], row["usage"]["attempts"]) for row in line.out("prompt.results")
    }
    assert ends == {"r1": ("failed", "cancelled", 1), "r3": ("rejected", "cancelled", 0)}
    assert outcomes(line) == ["error"]
    line.pass_time(minutes=5)
    await line.wake().wake_due()
    assert [call.key for call in line.calls()] == [b"acme/r2"]


async def test_L11_a_running_call_is_left_and_billed_as_unknown() -> None:
    line = MemoryLine()
    delivery, infer = await claimed(line), await line.infer()
    work = await running(line, infer, delivery)
    assert await cancel(line) is Cancelling.ASKED
    await line.wake().end_cancelled()
    assert line.out("prompt.results") == []  # its owner ends it
    await listen(infer._ports.ledger, infer._ports.caller)
    await asyncio.wait_for(work, 2)
    assert line.model.in_flight == 0
    assert (the_end(line), outcomes(line)) == (("failed", "cancelled", 1), ["unknown"])
    assert line.out("prompt.dead-letters") == []


async def test_L11_only_the_call_that_was_cancelled_is_left() -> None:
    line = MemoryLine()
    infer = await line.infer()
    first = await running(line, infer, await claimed(line))
    await line.intake().handle_batch([line.publish(request("r2", prompt="Other?"))])
    second = asyncio.ensure_future(infer.handle(line.calls()[0]))
    while line.model.in_flight < 2:
        await asyncio.sleep(0)
    await cancel(line, "r2")
    for _ in range(3):  # heard again and again until it is over
        await listen(infer._ports.ledger, infer._ports.caller)
    await asyncio.wait_for(second, 2)
    assert not first.done()
    line.model.let_go()
    await first
    assert {row["id"]: row["status"] for row in line.out("prompt.results")} == {"r1": "completed", "r2": "failed"}


async def test_L11_a_stop_of_the_worker_is_not_a_cancel() -> None:
    line = MemoryLine()
    work = await running(line, await line.infer(), await claimed(line))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert line.out("prompt.results") == []


async def test_L11_what_is_cancelled_between_two_calls_is_not_asked_again() -> None:
    line = MemoryLine()
    infer = await line.infer()

    def answer(_: ModelCall) -> ModelReply:
        infer._ports.caller._cancelled = {("acme", "r1", 1)}
        return says({"label": "ugly"})

    line.model._script = [answer]
    await infer.handle(await claimed(line))
    assert (the_end(line), outcomes(line)) == (("failed", "cancelled", 1), ["invalid_output"])
    assert len(line.model.calls) == 1


async def test_L11_an_answer_that_came_first_stays() -> None:
    line = MemoryLine()
    infer = await line.infer()
    work = await running(line, infer, await claimed(line))
    await cancel(line)
    line.model.let_go()
    await work
    await listen(infer._ports.ledger, infer._ports.caller)
    line.pass_time(seconds=5)
    await line.wake().end_cancelled()
    (result,) = line.out("prompt.results")
    assert result["status"] == "completed"
    assert await cancel(line) is Cancelling.FINAL


async def test_L11_a_worker_that_dies_with_the_wish_is_swept() -> None:
    line = MemoryLine()
    delivery = await claimed(line)
    work = await running(line, await line.infer("dying"), delivery)
    await cancel(line)
    work.cancel()
    line.model.let_go()
    line.pass_time(seconds=12)
    await line.wake().end_cancelled()
    assert (the_end(line), outcomes(line)) == (("failed", "cancelled", 1), ["unknown"])
    await (await line.infer("second")).handle(delivery)
    assert len(line.model.calls) == 1


async def test_L11_a_worker_that_takes_over_with_the_wish_ends_it() -> None:
    line = MemoryLine()
    delivery = await claimed(line)
    work = await running(line, await line.infer("dying"), delivery)
    await cancel(line)
    work.cancel()
    line.model.let_go()
    line.pass_time(seconds=31)
    await line.wake().sweep()
    await (await line.infer("second")).handle(line.calls()[0])
    assert (the_end(line), outcomes(line)) == (("failed", "cancelled", 1), ["unknown"])
    assert len(line.model.calls) == 1


async def test_L11_a_cancelled_request_may_be_run_again() -> None:
    line = MemoryLine()
    await claimed(line)
    await cancel(line)
    await line.wake().end_cancelled()
    result = await line.answer(request(rerun=True))
    assert result is not None
    assert (result["run"], result["status"]) == (2, "completed")


@pytest.mark.parametrize("ended_by", ["intake", "wake", "infer"])
async def test_a_cancelled_request_is_an_event_and_wakes_who_waits(ended_by: str) -> None:
    line = MemoryLine()
    told = line.replies.listen("api-7")
    delivery = line.publish(request(), headers=[(REPLY_TO, b"api-7")])
    if ended_by == "intake":
        await MemoryJobs(line.store, line.clock).submit([Job("acme", "r1", b"\x01h", b"{}", line.now)])
        await cancel(line)
    await line.intake().handle_batch([delivery])
    if ended_by != "intake":
        await cancel(line)
        await (line.wake().end_cancelled() if ended_by == "wake" else (await line.infer()).handle(line.calls()[0]))
    (event,) = line.out("prompt.events")
    found = LifecycleEvent.model_validate(event)
    assert (found.type, found.id, found.run) == ("request.cancelled", "r1", 1)
    reply = await asyncio.wait_for(anext(told), 2)
    assert reply.result == line.broker.values("prompt.results")[0]
