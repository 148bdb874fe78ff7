"""A run that comes back after a wait goes on where it was: no attempt is recorded, or paid for, that is not made."""

from decimal import Decimal
from typing import Any

import pytest

from agents.infer.handler import Infer
from connectors.memory.ledger import MemoryLedger
from connectors.memory.model import says
from domain.budgets.model import Budget
from domain.errors import ModelError
from domain.ledger.model import Take
from domain.pacing.model import Ask, Heard
from domain.pacing.told import Gauge, Told
from domain.routing.model import ModelCall, ModelReply
from tests.line.memory_line import MemoryLine, outcomes, request

UGLY = says({"label": "ugly"})
CUT = says('{"label": "go', finish="length")
BROKEN = ModelError("it failed", outcome="error", sent=True, retryable=True, status=500)
SMALL, LARGE = "small", "large"
ESCALATED = [SMALL] * 3 + [LARGE, SMALL]
"""Who was called before the wait: the stronger model failed, and so did the failover."""


def models(line: MemoryLine) -> list[str]:
    return [call.deployment.model for call in line.model.calls]


def recorded(line: MemoryLine) -> list[tuple[str, str]]:
    """Model and outcome of each attempt as the ledger knows it."""
    return [(one.model, one.outcome) for one in line.store.requests["acme", "r1"].tried]


async def waiting(line: MemoryLine, **more: Any) -> None:
    """A run that waits after it had been given the stronger model."""
    line.model._script = [UGLY, UGLY, UGLY, BROKEN, BROKEN]
    assert await line.answer(request(**{"model": "careful", **more}), await line.infer(attempts=9)) is None
    assert models(line) == ESCALATED


async def comes_back(line: MemoryLine, infer: Infer | None = None, **after: float) -> None:
    line.pass_time(**(after or {"minutes": 5}))
    await line.wake().wake_due()
    await (infer or await line.infer(attempts=9)).handle(line.calls()[0])


async def test_a_run_that_waited_goes_on_at_the_stronger_model_it_had_been_given() -> None:
    line = MemoryLine()
    await waiting(line)
    await comes_back(line)
    (result,) = line.out("prompt.results")
    assert (result["status"], models(line)) == ("completed", [*ESCALATED, LARGE])
    assert outcomes(line) == ["invalid_output"] * 3 + ["error"] * 2 + ["ok"]
    assert [model for model, _ in recorded(line)] == models(line)
    assert result["usage"]["attempts"] == 6


async def test_L12_what_is_held_after_a_wait_is_for_the_model_that_is_called_and_free_again_after_it() -> None:
    line = MemoryLine()
    await line.budgets.put(Budget("acme", "all", Decimal(5), "day"))
    await waiting(line)
    held: list[Decimal] = []

    def answers(_: ModelCall) -> ModelReply:
        held.append(line.store.holds["acme", "r1", 1, 6][0].amount_usd)
        return says({"label": "good"})

    line.model._script = [answers]
    of_the_first_four = [line.store.holds["acme", "r1", 1, n][0].amount_usd for n in (1, 4)]
    await comes_back(line)
    small, large = of_the_first_four
    assert held == [large]
    assert large > small
    await line.budgets.fold(100)
    (standing,) = await line.budgets.standings("acme")
    spent = sum(Decimal(row["cost_usd"]) for row in line.out("prompt.usage"))
    assert (standing.spent_usd, standing.held_usd, len(outcomes(line))) == (spent, 0, 6)


async def test_L12_where_the_stronger_model_is_too_dear_after_a_wait_nothing_is_recorded() -> None:
    line = MemoryLine()
    await waiting(line, on_limit="reject")
    await line.budgets.put(Budget("acme", "of the large one", Decimal(0), "day", model="simulated/large"))
    await comes_back(line)
    (result,) = line.out("prompt.results")
    assert (result["error"]["code"], result["usage"]["attempts"], models(line)) == ("provider_error", 5, ESCALATED)
    assert "the budget 'of the large one' of $0" in result["error"]["message"]
    assert len(recorded(line)) == 5


async def test_L8_who_takes_over_from_a_worker_that_died_at_the_stronger_model_goes_on_there() -> None:
    line = MemoryLine()

    def the_last(_: ModelCall) -> ModelReply:
        line.model.hold()
        return UGLY

    line.model._script = [UGLY, UGLY, the_last]
    await line.intake().handle_batch([line.publish(request(model="careful"))])
    second = await line.dies_in_a_call(line.calls()[0], lambda: len(line.model.calls) == 4)
    await line.wake().sweep()
    await second.handle(line.calls()[0])
    assert line.out("prompt.results")[0]["status"] == "completed"
    assert recorded(line) == [(SMALL, "invalid_output")] * 3 + [(LARGE, "unknown"), (LARGE, "ok")]
    assert sorted(row["model"] for row in line.out("prompt.usage")) == sorted(models(line)) == [LARGE] * 2 + [SMALL] * 3


async def test_a_stronger_model_at_its_limit_is_waited_for_and_no_weaker_one_is_asked_again() -> None:
    line = MemoryLine()
    await waiting(line)
    infer = await line.infer(attempts=9)
    refused = Heard(limited=True, told=Told(Gauge(20, 0, 20.0)), retry_after=600.0)
    await line.pacer.pace([Ask("simulated/large", "other", heard=(refused,))])
    await comes_back(line, infer, seconds=60)
    assert (line.store.waiting["acme", "r1"].reason, models(line), len(recorded(line))) == ("pacing", ESCALATED, 5)
    await comes_back(line, minutes=20)
    assert models(line) == [*ESCALATED, LARGE]


@pytest.mark.parametrize("budgets", [0, 1])
async def test_L12_under_a_raised_limit_one_attempt_is_made_after_a_wait_and_it_is_paid_for(budgets: int) -> None:
    line = MemoryLine([CUT, BROKEN])
    for n in range(budgets):
        await line.budgets.put(Budget("acme", f"b{n}", Decimal(5), "day"))
    assert await line.answer(request(), await line.infer(attempts=9)) is None
    await comes_back(line)
    assert [call.parameters.get("max_tokens") for call in line.model.calls] == [None, 16_384, 16_384]
    assert outcomes(line) == ["length", "error", "ok"]
    held = {n: hold[0].amount_usd for (_, _, _, n), hold in line.store.holds.items()}
    assert budgets == 0 or held[3] == held[2] > held[1]


async def test_L12_a_budget_that_is_new_after_a_wait_pays_for_the_raised_limit() -> None:
    line = MemoryLine([CUT, BROKEN])
    infer = await line.infer(attempts=9)
    assert await line.answer(request(), infer) is None
    await line.budgets.put(Budget("acme", "new", Decimal(5), "day"))
    await comes_back(line, infer, seconds=5)
    (held,) = (hold[0].amount_usd for hold in line.store.holds.values())
    other = MemoryLine([CUT, BROKEN])
    await other.budgets.put(Budget("acme", "old", Decimal(5), "day"))
    await other.answer(request(), await other.infer(attempts=9))
    assert held == other.store.holds["acme", "r1", 1, 2][0].amount_usd


async def test_L8_what_a_statement_recorded_whose_answer_was_lost_is_called_as_it_stands_there() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request(model="careful"))])
    (delivery,) = line.calls()
    infer = await line.infer("w1")
    unheard = MemoryLedger(line.store, line.clock)
    await unheard.register("w1", "infer")
    await unheard.take([Take("acme", "r1", 1, "simulated", LARGE, epoch=0)])
    await infer.handle(delivery)
    assert (models(line), recorded(line)) == ([LARGE], [(LARGE, "ok")])
