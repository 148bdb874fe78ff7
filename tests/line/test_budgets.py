"""Money on the line: reserved before a call, never after it (rule L12)."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.memory.model import says
from domain.budgets.model import Budget, Standing
from domain.errors import ModelError
from domain.pricing.worst import worst_case
from domain.routing.model import Deployment, Tokens
from tests.line.memory_line import LABEL, START, MemoryLine, outcomes, request, the_end
from topics.records import LifecycleEvent

PROMPT = [{"role": "user", "content": "Is it good?"}]


def worst(line: MemoryLine, alias: str = "fast", max_tokens: int = 4_096) -> Decimal:
    """What one call of `request` may cost."""
    return worst_case(deployment(line, alias), PROMPT, (LABEL,), max_tokens, START)


def deployment(line: MemoryLine, alias: str = "fast") -> Deployment:
    return line.preparer.catalogue.resolve(alias)[0]


async def budget(line: MemoryLine, limit: Decimal | int, name: str = "all", **more: Any) -> None:
    await line.budgets.put(Budget("acme", name, Decimal(limit), more.pop("period", "day"), **more))


async def standing(line: MemoryLine) -> Standing:
    await line.bookkeeper().book()
    (one,) = await line.budgets.standings("acme")
    return one


async def test_L12_what_a_budget_cannot_pay_is_rejected_before_the_call() -> None:
    line = MemoryLine()
    await budget(line, 0)
    result = await line.answer(request(on_limit="reject"))
    assert result is not None
    assert the_end(line) == ("rejected", "budget_exceeded", 0)
    assert "the budget 'all' of $0" in result["error"]["message"]
    assert (line.model.calls, line.out("prompt.dead-letters"), outcomes(line)) == ([], [], [])


async def test_L12_of_fifty_at_once_exactly_one_is_called_where_the_budget_is_worth_one_and_a_third() -> None:
    line = MemoryLine()
    await budget(line, worst(line) * Decimal("1.33"))
    requests = [line.publish(request(f"r{n}", on_limit="reject", cache="bypass")) for n in range(50)]
    await line.intake().handle_batch(requests)
    workers = [await line.infer(f"w{n}") for n in range(3)]
    await asyncio.gather(*(workers[n % 3].handle(call) for n, call in enumerate(line.calls())))
    ends = [(row["status"], (row["error"] or {}).get("code")) for row in line.out("prompt.results")]
    assert len(line.model.calls) == 1
    assert (ends.count(("completed", None)), ends.count(("rejected", "budget_exceeded"))) == (1, 49)


async def test_L12_a_request_that_may_wait_waits_for_the_next_period() -> None:
    line = MemoryLine()
    await budget(line, worst(line))
    infer = await line.infer()
    await line.answer(request("first"), infer)
    assert await line.answer(request("second", cache="bypass"), infer) is None
    await line.bookkeeper().book()
    line.pass_time(seconds=5)  # money is back, though not enough of it
    await line.wake().wake_due()
    await infer.handle(line.calls()[0])
    wait = line.store.waiting["acme", "second"]
    assert (wait.reason, wait.not_before) == ("budget", START + timedelta(days=1))
    line.pass_time(days=1)
    await line.wake().wake_due()
    infer = await line.infer("w2")
    await infer.handle(line.calls()[0])
    assert [row["status"] for row in line.out("prompt.results")] == ["completed", "completed"]
    waits = [row for row in line.out("prompt.events") if row["type"] == "request.waiting"]
    assert [row["data"]["reason"] for row in waits] == ["budget", "budget"]


async def test_L12_a_budget_that_is_raised_lets_those_who_wait_go_on() -> None:
    line = MemoryLine()
    await budget(line, worst(line) / 2)
    infer = await line.infer()
    await budget(line, worst(line), "wide")
    # more than all of the budget: waiting would not help
    assert (await line.answer(request("hopeless"), infer) or {})["error"]["code"] == "budget_exceeded"
    await budget(line, worst(line))
    await line.answer(request("first"), infer)
    assert await line.answer(request("second", cache="bypass"), infer) is None
    await budget(line, 1)
    await budget(line, 1, "wide")
    await line.wake().wake_due()
    await infer.handle(line.calls()[0])
    assert line.out("prompt.results")[-1]["status"] == "completed"


async def test_L12_a_budget_holds_from_the_next_take_on() -> None:
    line = MemoryLine()
    infer = await line.infer()
    assert (await line.answer(request("before"), infer) or {})["status"] == "completed"
    await budget(line, 0)
    after = await line.answer(request("after", on_limit="reject", cache="bypass"), infer)
    assert (after or {})["status"] == "rejected"
    await line.budgets.delete("acme", "all")
    gone = await line.answer(request("gone", on_limit="reject", cache="bypass"), infer)
    assert (gone or {})["status"] == "completed"


async def test_L12_a_re_ask_that_the_budget_cannot_pay_is_not_made() -> None:
    line = MemoryLine([says("no JSON")])
    await budget(line, worst(line) * Decimal("1.2"))
    result = await line.answer(request(on_limit="reject"))
    assert the_end(line) == ("failed", "invalid_output", 1)
    assert "the budget 'all'" in (result or {})["error"]["message"]
    assert len(line.model.calls) == 1
    assert (await standing(line)).held_usd == 0


async def test_L12_an_escalation_reserves_at_the_price_of_the_stronger_model() -> None:
    line = MemoryLine([says("no JSON")] * 3)
    await budget(line, worst(line) * 4)  # all calls of the small model, none of the large one
    await line.answer(request(model="careful", on_limit="reject"))
    assert the_end(line) == ("failed", "invalid_output", 3)
    assert {call.deployment.model for call in line.model.calls} == {"small"}


async def test_L12_what_was_not_spent_comes_back_and_what_is_unknown_does_not() -> None:
    timed_out = ModelError("late", outcome="timeout", sent=True, retryable=False)
    line = MemoryLine([says({"label": "good"}), timed_out])
    await budget(line, 1)
    infer = await line.infer()
    await line.answer(request("known"), infer)
    await line.answer(request("unknown", cache="bypass"), infer)
    one = await standing(line)
    assert 0 < one.spent_usd < worst(line)
    assert one.held_usd == worst(line)


async def test_L12_a_retry_after_a_failure_without_cost_reserves_anew() -> None:
    failure = ModelError("down", outcome="error", sent=True, retryable=True, status=503)
    line = MemoryLine([failure])
    await budget(line, worst(line))
    infer = await line.infer()
    assert await line.answer(request(), infer) is None
    assert (await standing(line)).held_usd == 0
    line.pass_time(seconds=5)
    await line.wake().wake_due()
    await infer.handle(line.calls()[0])
    assert line.out("prompt.results")[0]["status"] == "completed"


async def test_L12_a_retry_that_the_budget_cannot_pay_ends_as_the_call_before_it() -> None:
    lost = ModelError("reset", outcome="error", sent=True, retryable=True)
    line = MemoryLine([lost])
    await budget(line, worst(line) * Decimal("1.5"))
    infer = await line.infer()
    assert await line.answer(request(on_limit="reject"), infer) is None
    line.pass_time(seconds=5)
    await line.wake().wake_due()
    await infer.handle(line.calls()[0])
    assert the_end(line) == ("failed", "provider_error", 1)


async def test_L12_a_limit_that_is_raised_is_paid_for_also_after_a_wait() -> None:
    down = ModelError("down", outcome="error", sent=True, retryable=True, status=503)
    line = MemoryLine([says('{"label": ', finish="length"), down])
    await budget(line, worst(line, max_tokens=16_384) + 2 * worst(line))
    infer = await line.infer()
    assert await line.answer(request(on_limit="reject"), infer) is None
    line.pass_time(seconds=5)
    await line.bookkeeper().book()
    await line.wake().wake_due()
    await infer.handle(line.calls()[0])
    assert [call.parameters.get("max_tokens") for call in line.model.calls] == [None, 16_384, 16_384]
    assert line.out("prompt.results")[0]["status"] == "completed"


@pytest.mark.parametrize("share", ["0.99", "1"])
async def test_max_cost_usd_is_honoured_before_the_call(share: str) -> None:
    line = MemoryLine()
    allowed = worst(line) * Decimal(share)
    result = await line.answer(request(max_cost_usd=str(allowed.quantize(Decimal("0.000000001"), "ROUND_DOWN"))))
    assert (result or {})["status"] == ("completed" if share == "1" else "rejected")
    assert len(line.model.calls) == (share == "1")
    if share != "1":
        assert the_end(line) == ("rejected", "budget_exceeded", 0)


async def test_max_cost_usd_is_honoured_before_a_re_ask_and_an_escalation() -> None:
    line = MemoryLine([says("no JSON")] * 5)
    limit = worst(line) * Decimal("1.5")
    result = await line.answer(request(model="careful", max_cost_usd=str(limit.quantize(Decimal("0.000001")))))
    assert the_end(line) == ("failed", "invalid_output", 3)
    assert "max_cost_usd" in (result or {})["error"]["message"]
    assert {call.deployment.model for call in line.model.calls} == {"small"}
    assert Decimal((result or {})["usage"]["cost_usd"]) <= limit


async def test_max_cost_usd_counts_calls_whose_cost_nobody_knows() -> None:
    line = MemoryLine([ModelError("late", outcome="timeout", sent=True, retryable=True)])
    infer = await line.infer()
    assert await line.answer(request(max_cost_usd=str(worst(line) + Decimal("0.000001"))), infer) is None
    line.pass_time(seconds=5)
    await line.wake().wake_due()
    await infer.handle(line.calls()[0])
    assert len(line.model.calls) == 1
    assert the_end(line)[:2] == ("failed", "provider_error")


async def test_the_marks_of_a_budget_are_events_told_once() -> None:
    line = MemoryLine([says({"label": "good"}, tokens=Tokens(400, 4_096))])
    await budget(line, worst(line) * Decimal("1.9"))
    infer = await line.infer()
    await line.answer(request(), infer)
    for n in range(3):
        await line.bookkeeper().book()
        await line.answer(request(f"over{n}", on_limit="reject", cache="bypass"), infer)
    await line.bookkeeper().book()
    events = [LifecycleEvent.model_validate(row) for row in line.out("prompt.events")]
    assert [(event.type, event.data["percent"]) for event in events] == [
        ("budget.threshold", 50), ("budget.exceeded", 100),
    ]  # fmt: skip
    assert {(event.tenant, event.id, event.data["budget"]) for event in events} == {("acme", None, "all")}
    assert len({event.event_id for event in events}) == 2


async def test_L12_a_failover_is_paid_for_at_the_price_of_the_other_deployment() -> None:
    down = ModelError("down", outcome="error", sent=True, retryable=True, status=503)
    line = MemoryLine([down])
    await budget(line, worst(line) * 3)  # enough for the small model, not for the large one
    assert await line.answer(request(model="careful")) is None
    assert [call.deployment.model for call in line.model.calls] == ["small"]
    assert line.store.waiting["acme", "r1"].reason == "retry"  # where its alias begins
    line = MemoryLine([down])
    result = await line.answer(request(model="careful", max_cost_usd=str(worst(line) * 3)))
    assert [call.deployment.model for call in line.model.calls] == ["small"]
    assert result is None
