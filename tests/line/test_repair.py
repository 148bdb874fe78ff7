"""What follows an answer that is not valid: mended, asked again, asked of a stronger model, buried. In that order."""

from decimal import Decimal
from typing import Any

import pytest

from connectors.memory.model import says
from domain.errors import ModelError
from domain.routing.model import ModelCall, ModelReply
from tests.line.memory_line import MemoryLine, outcomes, request
from topics.call import PromptCall
from topics.records import DeadLetter, UsageRecord
from topics.result import PromptResult

UGLY = says({"label": "ugly"})
SMALL, LARGE = "small", "large"


async def ended(line: MemoryLine, **more: Any) -> dict[str, Any]:
    """The result of a request that ends without a wait."""
    result = await line.answer(request(**more))
    assert result is not None
    PromptResult.model_validate(result)
    return result


def models(line: MemoryLine) -> list[str]:
    return [call.deployment.model for call in line.model.calls]


def moves(line: MemoryLine) -> dict[str, float]:
    counted = {
        (move, model): line.metrics.value("repairs", move=move, model=model)
        for move in ("syntax", "re_ask", "escalate", "more_tokens")
        for model in (SMALL, LARGE)
    }
    return {f"{move} {model}": count for (move, model), count in counted.items() if count}


async def test_punctuation_is_put_right_without_a_call_and_marked() -> None:
    line = MemoryLine([says("Sure!\n```json\n{'label': 'bad',}\n```")])
    result = await ended(line)
    assert (result["status"], result["output"], result["usage"]["attempts"]) == ("completed", {"label": "bad"}, 1)
    (usage,) = [UsageRecord.model_validate(row) for row in line.out("prompt.usage")]
    assert (usage.outcome, usage.repaired) == ("ok", True)
    assert moves(line) == {"syntax small": 1}


async def test_a_right_answer_is_not_marked() -> None:
    line = MemoryLine()
    await ended(line)
    assert "repaired" not in line.out("prompt.usage")[0]
    assert moves(line) == {}


async def test_a_request_can_refuse_to_have_its_answers_mended() -> None:
    line = MemoryLine([says("{'label': 'bad'}")])
    result = await ended(line, repair={"syntax": False})
    assert (result["output"], outcomes(line)) == ({"label": "good"}, ["invalid_output", "ok"])


async def test_a_re_ask_carries_only_the_failing_places_and_the_rule_they_broke() -> None:
    line = MemoryLine([says('{"label": "ugly", "x": 1,}')])
    await ended(line)
    asked, said, complaint = line.model.calls[1].messages
    assert [asked["content"], said["content"]] == ["Is it good?", '{"label": "ugly", "x": 1,}']
    assert '- /label: "ugly" is not one of "good" or "bad"' in complaint["content"]
    assert complaint["content"].count("\n- ") == 1


@pytest.mark.parametrize("re_asks", [0, 1, 3])
async def test_a_request_says_how_often_it_is_asked_again(re_asks: int) -> None:
    line = MemoryLine([UGLY] * 9)
    result = await ended(line, repair={"re_asks": re_asks})
    assert (result["error"]["code"], len(line.model.calls)) == ("invalid_output", re_asks + 1)


async def test_after_the_re_asks_the_next_stronger_model_of_the_alias_is_asked_once() -> None:
    line = MemoryLine([UGLY] * 3)
    result = await ended(line, model="careful")
    assert (result["status"], result["model"], result["usage"]["attempts"]) == ("completed", LARGE, 4)
    assert models(line) == [SMALL, SMALL, SMALL, LARGE]
    assert line.model.calls[3].messages == [{"role": "user", "content": "Is it good?"}]
    assert moves(line) == {"re_ask small": 2, "escalate large": 1}


async def test_every_attempt_is_billed_at_the_price_of_its_model_and_visible() -> None:
    line = MemoryLine([UGLY] * 3)
    result = await ended(line, model="careful")
    rows = [UsageRecord.model_validate(row) for row in line.out("prompt.usage")]
    assert [(row.attempt, row.model, row.outcome) for row in rows] == [
        (1, SMALL, "invalid_output"), (2, SMALL, "invalid_output"), (3, SMALL, "invalid_output"), (4, LARGE, "ok")
    ]  # fmt: skip
    small, large = Decimal("0.0000045"), Decimal("0.000075")
    assert [row.cost_usd for row in rows] == [small, small, small, large]
    assert Decimal(result["usage"]["cost_usd"]) == 3 * small + large


async def test_what_no_model_answers_validly_is_buried_with_all_its_attempts() -> None:
    line = MemoryLine([UGLY] * 9)
    result = await ended(line, model="careful")
    assert (result["status"], result["error"]["code"], result["usage"]["attempts"]) == ("failed", "invalid_output", 4)
    (letter,) = [DeadLetter.model_validate(row) for row in line.out("prompt.dead-letters")]
    assert (letter.code, letter.attempts, letter.errors[0].path) == ("invalid_output", 4, "/label")


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ({"model": "careful", "repair": {"escalate": False}}, [SMALL] * 3),
        ({"model": "careful", "repair": {"re_asks": 0}}, [SMALL, LARGE]),
        ({"model": "fast"}, [SMALL] * 3),
        ({"model": "simulated/small"}, [SMALL] * 3),
        ({"model": "smart"}, [LARGE] * 3),
    ],
)
async def test_only_an_alias_with_a_stronger_model_escalates_and_only_if_it_may(
    more: dict[str, Any], asked: list[str]
) -> None:
    line = MemoryLine([UGLY] * 9)
    await ended(line, **more)
    assert models(line) == asked


async def test_the_attempts_of_a_run_are_bounded_whatever_the_repair_budget() -> None:
    line = MemoryLine([UGLY] * 9)
    await line.answer(request(model="careful", repair={"re_asks": 5}), await line.infer(attempts=3))
    assert len(line.model.calls) == 3


async def test_a_wait_between_does_not_renew_the_repair_budget() -> None:
    broken = ModelError("broke off", outcome="error", sent=True, retryable=True)
    line = MemoryLine([UGLY, broken, broken, UGLY, UGLY, UGLY])
    assert await line.answer(request(model="careful"), await line.infer(attempts=9)) is None
    line.pass_time(minutes=2)
    await line.wake().wake_due()
    await (await line.infer(attempts=9)).handle(line.calls()[0])
    assert models(line) == [SMALL, SMALL, LARGE, SMALL, SMALL, LARGE]
    assert outcomes(line) == ["invalid_output", "error", "error", "invalid_output", "invalid_output", "invalid_output"]


async def test_an_answer_cut_by_the_default_limit_is_asked_for_once_more_with_a_higher_one() -> None:
    cut = says('{"label": "go', finish="length")
    line = MemoryLine([cut])
    result = await ended(line)
    assert (result["status"], outcomes(line)) == ("completed", ["length", "ok"])
    assert [call.parameters.get("max_tokens") for call in line.model.calls] == [None, 16_384]
    assert line.model.calls[1].messages == line.model.calls[0].messages
    again = MemoryLine([cut, cut])
    result = await ended(again, model="careful")
    assert (result["error"]["code"], models(again)) == ("invalid_output", [SMALL, SMALL])


async def test_the_limit_of_a_template_is_a_default_and_that_of_the_request_beside_it_is_not() -> None:
    cut = says('{"label": "posi', finish="length")
    template = {"name": "sentiment", "variables": {"text": "Fine."}}
    limits = []
    for own in ({}, {"parameters": {"max_tokens": 7}}):
        line = MemoryLine([cut, cut])
        await line.answer({"id": "r1", "tenant": "acme", "template": template, **own})
        limits.append([call.parameters["max_tokens"] for call in line.model.calls])
    first = limits[0][0]
    assert limits == [[first, 4 * first], [7]]


async def test_a_limit_that_the_request_set_is_never_raised_nor_tried_again() -> None:
    line = MemoryLine([says('{"label": "go', finish="length")])
    result = await ended(line, model="careful", parameters={"max_tokens": 7})
    assert (result["error"]["code"], len(line.model.calls)) == ("invalid_output", 1)
    assert "cut at max_tokens" in result["error"]["message"]


async def test_a_refusal_is_an_answer_and_nobody_else_is_asked() -> None:
    line = MemoryLine([says("I cannot", finish="refusal")])
    result = await ended(line, model="careful")
    assert (result["error"]["code"], outcomes(line), len(line.model.calls)) == ("refused", ["refused"], 1)


async def test_a_cancelled_or_late_run_is_not_asked_again() -> None:
    line = MemoryLine()

    def late(_: ModelCall) -> ModelReply:
        line.pass_time(minutes=1)
        return UGLY

    line.model._script = [late]
    result = await ended(line, deadline="2026-01-01T00:00:30.000Z")
    assert (result["error"]["code"], len(line.model.calls)) == ("deadline_exceeded", 1)


async def test_the_wish_reaches_infer_with_the_call_and_only_where_it_was_said() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request(repair={"re_asks": 0})), line.publish(request("r2"))])
    wished, silent = [PromptCall.decode(delivery.value or b"") for delivery in line.calls()]
    assert (wished.repair, silent.repair) == ({"re_asks": 0}, None)
    assert b"repair" not in silent.encode()


@pytest.mark.parametrize("repair", [{"re_asks": 6}, {"re_asks": True}, {"escalates": True}, {"syntax": 1}])
async def test_a_wish_that_is_not_understood_is_refused(repair: dict[str, Any]) -> None:
    line = MemoryLine()
    result = await ended(line, repair=repair)
    assert (result["status"], result["error"]["code"]) == ("rejected", "invalid_request")
    assert result["error"]["errors"][0]["path"].startswith("/repair/")


BROKEN = ModelError("it failed", outcome="error", sent=True, retryable=True, status=500)


async def test_a_failover_is_no_escalation() -> None:
    line = MemoryLine([BROKEN, UGLY, BROKEN])
    assert await line.answer(request(model="careful"), await line.infer(attempts=9)) is None
    line.model._script = [UGLY, UGLY]
    line.pass_time(minutes=5)
    await line.wake().wake_due()
    await (await line.infer(attempts=9)).handle(line.calls()[0])
    (result,) = line.out("prompt.results")
    assert (result["status"], models(line)) == ("completed", [SMALL, LARGE, LARGE, SMALL, SMALL, LARGE])
