"""What becomes of a request, from prompt.requests to prompt.results, without a broker or a provider."""

import asyncio
from decimal import Decimal

import pytest

from agents.contract import NotForUs
from connectors.memory.model import says
from domain.accounts.model import Tenant
from domain.errors import ModelError
from domain.ledger.model import State
from tests.line.memory_line import MemoryLine, request
from topics.headers import API_KEY, MIN_READER, REPLY_TO
from topics.records import DeadLetter, LifecycleEvent, UsageRecord
from topics.result import PromptResult


def timeout(**more: object) -> ModelError:
    return ModelError("no answer in time", **{"outcome": "timeout", "sent": True, "retryable": True, **more})


def rate_limited() -> ModelError:
    return ModelError("slow down", outcome="rate_limited", sent=True, retryable=True, retry_after=7.0, status=429)


async def test_a_request_is_answered_validated_and_costed() -> None:
    line = MemoryLine()
    result = await line.answer(request(tags={"team": "support"}, metadata={"ticket": 4711}))
    assert result is not None
    PromptResult.model_validate(result)
    assert (result["status"], result["output"], result["run"]) == ("completed", {"label": "good"}, 1)
    assert (result["usage"]["attempts"], Decimal(result["usage"]["cost_usd"])) == (1, Decimal("0.0000045"))
    assert (result["tags"], result["metadata"]) == ({"team": "support"}, {"ticket": 4711})
    (usage,) = line.out("prompt.usage")
    UsageRecord.model_validate(usage)
    assert (usage["attempt"], usage["outcome"], usage["provider"]) == (1, "ok", "simulated")


async def test_headers_and_key_of_a_request_come_back_on_its_result() -> None:
    line = MemoryLine()
    delivery = line.publish(request(), key=b"\xff\x00", headers=[("x-trace", b"\xfe"), ("ce_id", b"gone")])
    await line.intake().handle_batch([delivery])
    await (await line.infer()).handle(line.calls()[0])
    record = line.broker.log["prompt.results"][0]
    assert record.key == b"\xff\x00"
    assert ("x-trace", b"\xfe") in record.headers
    assert dict(record.headers)["ce_id"] == b"acme/r1/1"


async def test_an_answer_that_breaks_its_schema_is_asked_again_with_what_was_wrong() -> None:
    line = MemoryLine([says({"label": "ugly"}), says({"label": "bad"})])
    result = await line.answer(request())
    assert result is not None
    assert (result["status"], result["output"], result["usage"]["attempts"]) == ("completed", {"label": "bad"}, 2)
    again = line.model.calls[1].messages
    assert [turn["role"] for turn in again] == ["user", "assistant", "user"]
    assert "/label" in again[2]["content"]
    assert [row["attempt"] for row in line.out("prompt.usage")] == [1, 2]


async def test_an_answer_that_stays_wrong_fails_with_every_attempt_billed_and_a_dead_letter() -> None:
    line = MemoryLine([says({"label": "ugly"})] * 3)
    result = await line.answer(request())
    assert result is not None
    assert (result["status"], result["error"]["code"], result["usage"]["attempts"]) == ("failed", "invalid_output", 3)
    assert Decimal(result["usage"]["cost_usd"]) == 3 * Decimal("0.0000045")
    assert result["error"]["errors"][0]["path"] == "/label"
    (letter,) = line.out("prompt.dead-letters")
    DeadLetter.model_validate(letter)
    assert (letter["code"], letter["tenant"], letter["id"], letter["attempts"]) == ("invalid_output", "acme", "r1", 3)
    (event,) = line.out("prompt.events")
    assert LifecycleEvent.model_validate(event).type == "error.occurred"


@pytest.mark.parametrize(
    ("reply", "code"), [(says("", finish="length"), "invalid_output"), (says("no", finish="refusal"), "refused")]
)
async def test_a_cut_or_refused_answer_is_not_asked_again(reply: object, code: str) -> None:
    line = MemoryLine([reply])
    result = await line.answer(request(parameters={"max_tokens": 9}))
    assert result is not None
    assert (result["status"], result["error"]["code"], len(line.model.calls)) == ("failed", code, 1)


async def test_L10_a_failed_call_waits_and_is_brought_back_when_it_is_due() -> None:
    line = MemoryLine([rate_limited()])
    assert await line.answer(request()) is None
    (event,) = line.out("prompt.events")
    assert (event["type"], event["data"]["reason"]) == ("request.waiting", "retry")
    await line.wake().wake_due()
    assert line.calls() == []
    line.pass_time(seconds=8)
    await line.wake().wake_due()
    await (await line.infer()).handle(line.calls()[0])
    (result,) = line.out("prompt.results")
    assert (result["status"], result["usage"]["attempts"]) == ("completed", 2)
    assert [row["outcome"] for row in line.out("prompt.usage")] == ["rate_limited", "ok"]


async def test_L10_a_delivery_of_a_waiting_request_is_dropped() -> None:
    line = MemoryLine([rate_limited()])
    await line.intake().handle_batch([line.publish(request())])
    (delivery,) = line.calls()
    infer = await line.infer()
    await infer.handle(delivery)
    await infer.handle(delivery)
    assert len(line.model.calls) == 1


async def test_attempts_are_bounded_and_the_last_failure_names_the_end() -> None:
    line = MemoryLine([timeout()] * 9)
    assert await line.answer(request(), await line.infer(attempts=2)) is None
    line.pass_time(minutes=2)
    await line.wake().wake_due()
    await (await line.infer(attempts=2)).handle(line.calls()[0])
    (result,) = line.out("prompt.results")
    assert (result["status"], result["error"]["code"], result["usage"]["attempts"]) == ("failed", "provider_timeout", 2)
    assert DeadLetter.model_validate(line.out("prompt.dead-letters")[0]).code == "provider_timeout"


async def test_L9_in_fail_mode_a_call_whose_outcome_is_unknown_is_final() -> None:
    line = MemoryLine([timeout()])
    result = await line.answer(request(on_unknown_outcome="fail"))
    assert result is not None
    assert (result["status"], result["error"]["code"], len(line.model.calls)) == ("failed", "unknown_outcome", 1)


@pytest.mark.parametrize("error", [rate_limited(), ModelError("refused", outcome="error", sent=False, retryable=True)])
async def test_L9_in_fail_mode_what_was_not_worked_on_is_tried_again(error: ModelError) -> None:
    line = MemoryLine([error])
    assert await line.answer(request(on_unknown_outcome="fail")) is None


async def test_L2_a_redelivery_of_the_same_source_calls_nobody_twice() -> None:
    line = MemoryLine()
    intake, infer = line.intake(), await line.infer()
    delivery = line.publish(request())
    await intake.handle_batch([delivery])
    await intake.handle_batch([delivery])
    for call in line.calls():
        await infer.handle(call)
    assert len(line.model.calls) == 1
    assert len(line.out("prompt.results")) == 1


async def test_L2_a_repeat_of_a_completed_request_produces_nothing() -> None:
    line = MemoryLine()
    await line.answer(request())
    await line.answer(request())
    assert (len(line.model.calls), len(line.out("prompt.results"))) == (1, 1)


async def test_L2_a_repeat_of_a_failed_request_gives_the_same_bytes_again() -> None:
    line = MemoryLine([says("no", finish="refusal")])
    await line.answer(request())
    line.pass_time(minutes=1)
    await line.answer(request())
    first, second = line.broker.values("prompt.results")
    assert first == second
    assert len(line.model.calls) == 1


async def test_L3_rerun_starts_a_new_run_of_a_failed_request() -> None:
    line = MemoryLine([says("no", finish="refusal")])
    await line.answer(request())
    result = await line.answer(request(rerun=True))
    assert result is not None
    assert (result["run"], result["status"]) == (2, "completed")


async def test_L2_another_body_under_a_used_id_is_a_conflict_and_leaves_the_first_alone() -> None:
    line = MemoryLine()
    await line.answer(request())
    result = await line.answer(request(prompt="Something else?"))
    assert result is not None
    assert (result["status"], result["error"]["code"], result["run"]) == ("rejected", "id_conflict", 0)
    assert len(line.model.calls) == 1


async def test_L1_one_batch_with_an_id_twice_calls_once() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request()), line.publish(request())])
    infer = await line.infer()
    for call in line.calls():
        await infer.handle(call)
    assert len(line.model.calls) == 1


async def test_an_identical_question_under_another_id_is_answered_from_the_cache() -> None:
    line = MemoryLine()
    await line.answer(request("r1"))
    result = await line.answer(request("r2"))
    assert result is not None
    assert (result["cached"], result["output"]) == ("exact", {"label": "good"})
    assert (result["usage"]["cost_usd"], result["usage"]["attempts"]) == ("0", 0)
    assert len(line.model.calls) == 1


@pytest.mark.parametrize("mode", ["bypass", "refresh"])
async def test_bypass_and_refresh_do_not_read_the_cache(mode: str) -> None:
    line = MemoryLine()
    await line.answer(request("r1"))
    await line.answer(request("r2", cache=mode))
    assert len(line.model.calls) == 2


async def test_the_cache_is_never_shared_between_tenants() -> None:
    line = MemoryLine(tenants=[Tenant("acme"), Tenant("other")])
    await line.answer(request("r1"))
    await line.answer(request("r2", tenant="other"))
    assert len(line.model.calls) == 2


async def test_an_invalid_answer_is_never_cached() -> None:
    line = MemoryLine([says({"label": "ugly"})] * 3)
    await line.answer(request("r1"))
    result = await line.answer(request("r2"))
    assert result is not None
    assert (result["cached"], result["status"]) == (None, "completed")


async def test_over_the_limit_a_request_waits_for_its_admission_time_and_is_scheduled_once() -> None:
    line = MemoryLine(tenants=[Tenant("acme", requests_per_minute=60, burst=1)])
    await line.answer(request("r1"))
    assert await line.answer(request("r2", prompt="Another?")) is None
    assert [event["type"] for event in line.out("prompt.events")] == ["rate_limit.exceeded"]
    line.pass_time(seconds=1.1)
    await line.wake().wake_due()
    await (await line.infer()).handle(line.calls()[0])
    assert [row["id"] for row in line.out("prompt.results")] == ["r1", "r2"]


async def test_over_the_limit_a_request_may_ask_to_be_rejected() -> None:
    line = MemoryLine(tenants=[Tenant("acme", requests_per_minute=60, burst=1)])
    await line.answer(request("r1"))
    result = await line.answer(request("r2", prompt="Another?", on_limit="reject"))
    assert result is not None
    assert (result["status"], result["error"]["code"], result["error"]["retryable"]) == (
        "rejected",
        "rate_limited",
        True,
    )


async def test_a_deadline_that_passes_before_the_call_rejects_without_one() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request(deadline="2026-01-01T00:00:10.000Z"))])
    line.pass_time(seconds=11)
    await (await line.infer()).handle(line.calls()[0])
    (result,) = line.out("prompt.results")
    assert (result["status"], result["error"]["code"], line.model.calls) == ("rejected", "deadline_exceeded", [])


async def test_a_deadline_that_passes_while_it_waits_fails_what_was_called() -> None:
    line = MemoryLine([rate_limited()])
    assert await line.answer(request(deadline="2026-01-01T00:00:05.000Z")) is None
    line.pass_time(seconds=6)
    await line.wake().sweep()
    (result,) = line.out("prompt.results")
    assert (result["status"], result["error"]["code"], result["usage"]["attempts"]) == (
        "failed",
        "deadline_exceeded",
        1,
    )


async def test_L8_L15_a_worker_that_dies_in_a_call_leaves_a_request_that_another_answers() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request())])
    (delivery,) = line.calls()
    line.model.hold()
    second = await line.dies_in_a_call(delivery, lambda: line.model.in_flight > 0)
    await line.wake().sweep()
    for call in line.calls():
        await second.handle(call)
    (result,) = line.out("prompt.results")
    assert (result["status"], result["usage"]["attempts"]) == ("completed", 2)
    row = line.store.requests["acme", "r1"]
    assert row.state is State.COMPLETED
    assert [usage["outcome"] for usage in line.out("prompt.usage")] == ["unknown", "ok"]


async def test_L9_in_fail_mode_a_worker_that_dies_in_a_call_ends_it() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request(on_unknown_outcome="fail"))])
    (delivery,) = line.calls()
    line.model.hold()
    second = await line.dies_in_a_call(delivery, lambda: line.model.in_flight > 0)
    await second.handle(delivery)
    await line.wake().wake_due()
    for call in line.calls():
        await second.handle(call)
    (result,) = line.out("prompt.results")
    assert (result["status"], result["error"]["code"], len(line.model.calls)) == ("failed", "unknown_outcome", 1)


async def test_L7_a_delivery_that_meets_a_live_lease_waits_and_calls_nobody() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request())])
    (delivery,) = line.calls()
    line.model.hold()
    running = asyncio.ensure_future((await line.infer("first")).handle(delivery))
    while not line.model.in_flight:
        await asyncio.sleep(0)
    line.pass_time(seconds=2)
    await (await line.infer("second")).handle(delivery)
    line.model.let_go()
    await running
    assert (len(line.model.calls), len(line.out("prompt.results"))) == (1, 1)


async def test_S7_a_call_of_a_newer_writer_is_neither_answered_nor_buried() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request())])
    (delivery,) = line.calls()
    delivery.headers = [(name, b"9" if name == MIN_READER else value) for name, value in delivery.headers]
    with pytest.raises(NotForUs, match="needs a reader of version 9"):
        await (await line.infer()).handle(delivery)
    assert line.broker.values("prompt.dead-letters") == []


async def test_L15_a_fault_of_ours_ends_the_request_and_keeps_a_dead_letter() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request())])
    (delivery,) = line.calls()
    await (await line.infer()).bury(delivery, RuntimeError("a bug"))
    (result,) = line.out("prompt.results")
    assert (result["status"], result["error"]["code"]) == ("failed", "internal")
    assert "a bug" not in result["error"]["message"]
    assert line.out("prompt.dead-letters")[0]["code"] == "internal"
    assert line.store.requests["acme", "r1"].state is State.FAILED


async def test_S5_a_fault_of_ours_in_intake_ends_the_request_too() -> None:
    line = MemoryLine()
    intake = line.intake()
    delivery = line.publish(request())
    await line.accounts.tenant("acme")
    await intake._ports.tenants.load({"acme"})
    await intake.bury(delivery, RuntimeError("a bug"))
    (result,) = line.out("prompt.results")
    assert (result["status"], result["error"]["code"]) == ("failed", "internal")
    assert line.out("prompt.dead-letters")[0]["stage"] == "intake"


async def test_who_waits_for_a_reply_is_told_and_the_key_is_stamped() -> None:
    line = MemoryLine()
    told = []

    async def wait() -> None:
        async for reply in line.replies.listen("api-7"):
            told.append(reply)
            return

    waiting = asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    headers = [(REPLY_TO, b"api-7"), (API_KEY, b"k1")]
    await line.intake().handle_batch([line.publish(request(), headers=headers)])
    await (await line.infer()).handle(line.calls()[0])
    await asyncio.wait_for(waiting, 2)
    assert (told[0].tenant, told[0].id, told[0].result) == ("acme", "r1", line.broker.values("prompt.results")[0])
    assert line.out("prompt.results")[0]["api_key_id"] == "k1"


async def test_L13_an_answer_that_makes_too_large_a_result_fails_and_is_billed() -> None:
    line = MemoryLine([says("x" * 1_500_000)])
    result = await line.answer({"id": "r1", "tenant": "acme", "prompt": "Write much.", "metadata": {"a": 1}})
    assert result is not None
    assert (result["status"], result["error"]["code"], result["output"]) == ("failed", "result_too_large", None)
    assert Decimal(result["usage"]["cost_usd"]) > 0
    assert line.store.requests["acme", "r1"].state is State.FAILED
