"""The same question in other words, through the stages."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from connectors.memory.model import says
from domain.accounts.model import Tenant
from domain.budgets.model import Budget
from domain.caching.generations import Scope, invalidation
from domain.caching.semantic import PROOF
from domain.errors import ModelError, Unavailable
from tests.line.memory_line import LABEL, START, MemoryLine
from topics.codec import encode
from topics.records import UsageRecord
from topics.result import PromptResult

FIRST, OTHER = "How do I reset my password?", "Hi, how can I reset my password, please?"


def intent(of: str = "account_login") -> Any:
    return says({"intent": of, "urgency": "low", "needs_human": False})


def ask(id: str, text: str, **more: Any) -> dict[str, Any]:
    template = {"name": "intent", "variables": {"message": text}}
    return {"id": id, "tenant": "acme", "template": template, "cache": "semantic", **more}


def line_of(*script: Any) -> MemoryLine:
    return MemoryLine(script or [intent()] * 9, (Tenant("acme"), Tenant("globex")))


async def cached(line: MemoryLine, body: dict[str, Any]) -> str | None:
    result = await line.answer(body)
    assert result is not None
    assert result["status"] == "completed", result
    return PromptResult.model_validate(result).cached


def lookups(line: MemoryLine, outcome: str) -> float:
    return line.metrics.value("similar_lookups", outcome=outcome)


async def test_other_words_for_the_same_are_answered_at_no_cost_and_save_what_the_call_did() -> None:
    line = line_of()
    first = await line.answer(ask("r1", FIRST))
    line.pass_time(seconds=90)
    second = await line.answer(ask("r2", OTHER))
    assert first is not None
    assert second is not None
    assert second["cached"] == "semantic"
    assert second["output"] == first["output"]
    assert second["cache"] == {"age_s": 90.0, "saved_usd": first["usage"]["cost_usd"]}
    assert (second["usage"]["cost_usd"], second["usage"]["attempts"]) == ("0", 0)
    assert (second["provider"], second["model"]) == (first["provider"], first["model"])
    assert len(line.model.calls) == 1
    PromptResult.model_validate(second)


async def test_the_embeddings_are_billed_to_the_requests_that_needed_them() -> None:
    line = line_of()
    for id, text in (("r1", FIRST), ("r2", OTHER)):
        await line.answer(ask(id, text))
    rows = [UsageRecord.model_validate(row) for row in line.out("prompt.usage")]
    assert [(row.id, row.attempt, row.model) for row in rows] == [
        ("r1", 1, "small"), ("r1", 0, "embedding"), ("r2", 0, "embedding"),
    ]  # fmt: skip
    assert all(row.input_tokens and row.cost_usd > 0 and row.outcome == "ok" for row in rows)
    assert line.embedder.calls == [[FIRST], [OTHER]]


NOT_THE_SAME = {
    "other words": ask("r2", "How do I delete my password?"),
    "another tenant": ask("r2", OTHER, tenant="globex"),
    "another model": ask("r2", OTHER, model="smart"),
    "other parameters": ask("r2", OTHER, parameters={"max_tokens": 20}),
    "other options": ask("r2", OTHER, provider_options={"user": "x"}),
    "a request that does not ask for it": ask("r2", OTHER, cache="use"),
    "one that wants a new answer": ask("r2", OTHER, cache="refresh"),
    "one that wants nothing of the cache": ask("r2", OTHER, cache="bypass"),
    "another template": {**ask("r2", OTHER), "template": {"name": "sentiment", "variables": {"text": OTHER}}},
}


@pytest.mark.parametrize("case", NOT_THE_SAME)
async def test_everything_that_shapes_an_answer_must_be_equal(case: str) -> None:
    line = line_of(intent(), intent() if case != "another template" else says(
        {"label": "neutral", "confidence": 0.5, "evidence": ""}))  # fmt: skip
    assert [await cached(line, ask("r1", FIRST)), await cached(line, NOT_THE_SAME[case])] == [None, None]
    assert len(line.model.calls) == 2


async def test_another_schema_is_another_question() -> None:
    line = line_of(intent(), says({"label": "good"}))
    await cached(line, ask("r1", FIRST))
    assert await cached(line, ask("r2", OTHER, output_schema=LABEL)) is None


async def test_a_prompt_without_a_template_that_allows_it_counts_as_use() -> None:
    line = MemoryLine([says("yes"), says("no")])
    bodies = [{"id": f"r{n}", "tenant": "acme", "prompt": text, "cache": "semantic"} for n, text in
              enumerate((FIRST, OTHER, FIRST))]  # fmt: skip
    assert [await cached(line, body) for body in bodies] == [None, None, "exact"]
    assert line.embedder.calls == []


async def test_a_request_that_does_not_opt_in_pays_nothing() -> None:
    line = line_of()
    line.similar.peek = line.similar.compare = line.similar.keep = None  # type: ignore[assignment,method-assign]
    assert await cached(line, ask("r1", FIRST, cache="use")) is None
    assert line.embedder.calls == []


SCOPES = [("tenant",), ("template", "intent"), ("template", "intent@1"), ("model", "fast"), ("tag", "team=a")]


@pytest.mark.parametrize("scope", SCOPES)
async def test_L13_what_was_invalidated_is_not_given_in_other_words_either(scope: tuple[Any, ...]) -> None:
    line = line_of(intent(), intent("refund"))
    tags = {"tags": {"team": "a"}}
    assert [await cached(line, ask("r1", FIRST, **tags)), await cached(line, ask("r2", OTHER, **tags))] == [
        None, "semantic",
    ]  # fmt: skip
    assert line.generations.hear(encode(invalidation("acme", Scope(*scope), "g1", line.now)))
    # also to one that is not in the scope: the answer is
    assert [await cached(line, ask("r3", OTHER)), await cached(line, ask("r4", "How to reset my password"))] == [
        None, "semantic",
    ]  # fmt: skip
    assert line.out("prompt.results")[-1]["output"]["intent"] == "refund"


async def test_L13_an_answer_that_was_invalidated_by_its_key_is_given_to_nobody() -> None:
    line = line_of()
    await cached(line, ask("r1", FIRST))
    key = line.preparer.catalogue and next(iter(line.cache._entries)).rpartition(":")[2]
    assert line.generations.hear(encode(invalidation("acme", Scope("key", key), "g1", line.now)))
    assert await cached(line, ask("r2", OTHER)) is None


async def test_it_is_kept_as_long_as_the_exact_answer() -> None:
    line = line_of()
    await cached(line, ask("r1", FIRST))
    line.pass_time(seconds=3601)
    assert await cached(line, ask("r2", OTHER)) is None


async def test_only_valid_complete_answers_are_kept() -> None:
    line = line_of(*[says("no JSON at all")] * 4)
    result = await line.answer(ask("r1", FIRST))
    assert result is not None
    assert result["status"] == "failed"
    assert line.embedder.calls == []


async def test_a_share_of_the_hits_is_called_for_and_wrong_answers_close_a_template_until_it_proved_itself() -> None:
    line = line_of(intent(), intent("refund"), *[intent()] * (2 * PROOF + 9))
    wordings = ("How do I reset my password?", "How can I reset my password?")

    async def again(number: int) -> str | None:
        """In the one wording and the other, each time past the exact cache."""
        line.cache._entries.clear()
        line.pass_time(seconds=2)
        return await cached(line, ask(f"r{number}", wordings[number % 2]))

    assert [await again(0), await again(1)] == [None, "semantic"]
    line.draw = 0.01  # below the share that is checked
    assert await again(2 + 1) is None
    (trust,) = await line.similar.trust("acme")
    assert (trust.checked, trust.wrong, trust.closed, trust.false_hit_rate) == (1, 1, False, 1.0)
    assert await again(4) is None
    line.draw = 0.5
    assert (await line.similar.trust("acme"))[0].closed
    served = [await again(number) for number in range(5, 10 + 2 * PROOF)]
    assert served[0] is None
    assert "semantic" in served
    proved = served.index("semantic")
    assert proved >= PROOF
    assert served[:proved] == [None] * proved
    assert not (await line.similar.trust("acme"))[0].closed
    assert line.metrics.value("similar_checks", template="intent", outcome="wrong") == 2
    assert lookups(line, "checked") == proved + 2


async def test_many_at_once_are_one_look_up_and_one_call_for_vectors() -> None:
    line = line_of()
    await cached(line, ask("r0", FIRST))
    line.embedder.calls.clear()
    others = [
        "how can I reset my password", "How can I reset my password?", "please, how can I reset my password?",
        "How to reset my password?", "How do I reset my password, please?", "How do I reset my password? Thanks!",
    ]  # fmt: skip
    bodies = [ask(f"m{n}", text) for n, text in enumerate(others)]
    await line.intake().handle_batch([line.publish(body) for body in bodies])
    worker = await line.infer()
    await asyncio.gather(*(worker.handle(delivery) for delivery in line.calls()))
    assert [row["cached"] for row in line.out("prompt.results")[1:]] == ["semantic"] * 6
    assert [len(call) for call in line.embedder.calls] == [6]
    assert len(line.model.calls) == 1


async def test_trouble_is_a_miss_and_never_a_failure() -> None:
    line = line_of()
    worker = await line.infer()

    async def asked(id: str, text: str) -> str | None:
        result = await line.answer(ask(id, text), worker)
        assert result is not None
        assert result["status"] == "completed"
        return result["cached"]  # type: ignore[no-any-return]

    assert await asked("r1", FIRST) is None
    line.embedder.trouble = ModelError("away", outcome="timeout", sent=True, retryable=True)
    assert await asked("r2", OTHER) is None
    assert await asked("r3", "How to reset my password") is None
    assert (lookups(line, "trouble"), len(line.embedder.calls)) == (2, 2)  # it rests after the first trouble
    line.pass_time(seconds=6)
    line.embedder.trouble = None
    assert await asked("r4", "How to reset my password?") == "semantic"


async def test_without_the_database_of_answers_a_request_is_called_for() -> None:
    line = line_of()

    async def away(*_: Any) -> Any:
        raise Unavailable("PostgreSQL is away")

    line.similar.peek = line.similar.keep = away  # type: ignore[method-assign]
    assert await cached(line, ask("r1", FIRST)) is None
    assert lookups(line, "trouble") == 1


async def test_vectors_of_another_length_are_a_miss_once() -> None:
    line = line_of()
    await cached(line, ask("r1", FIRST))
    (place, (until, _, known)), *_ = line.similar._kept.items()
    line.similar._kept[place] = (until, [1.0], known)
    assert [await cached(line, ask("r2", OTHER)), await cached(line, ask("r3", "How to reset my password?"))] == [
        None, "semantic",
    ]  # fmt: skip


async def test_a_refreshed_answer_is_the_one_that_others_are_given() -> None:
    line = line_of(intent(), intent("refund"))
    await cached(line, ask("r1", FIRST))
    assert await cached(line, ask("r2", FIRST, cache="refresh")) is None
    assert await cached(line, ask("r3", OTHER)) == "semantic"
    assert line.out("prompt.results")[-1]["output"]["intent"] == "refund"


async def test_what_was_called_for_is_not_given_up_for_the_answer_to_other_words() -> None:
    failure = ModelError("try later", outcome="error", sent=True, retryable=True, status=500)
    line = line_of(failure, intent(), intent())
    assert await line.answer(ask("r1", OTHER)) is None  # waits to be tried again
    assert await cached(line, ask("r2", FIRST)) is None
    line.pass_time(seconds=60)
    await line.wake().wake_due()
    worker = await line.infer()
    for delivery in line.calls():
        await worker.handle(delivery)
    result = line.out("prompt.results")[-1]
    assert (result["id"], result["cached"], result["usage"]["attempts"]) == ("r1", None, 2)


async def test_a_deadline_that_passed_is_not_answered() -> None:
    line = line_of()
    await cached(line, ask("r1", FIRST))
    late = (START.replace(minute=1)).isoformat().replace("+00:00", "Z")
    await line.intake().handle_batch([line.publish(ask("r2", OTHER, deadline=late))])
    (delivery,) = line.calls()
    line.pass_time(minutes=2)
    await (await line.infer()).handle(replace(delivery))
    assert line.out("prompt.results")[-1]["error"]["code"] == "deadline_exceeded"


async def money(line: MemoryLine) -> tuple[Decimal, Decimal]:
    await line.bookkeeper().book()
    (one,) = await line.budgets.standings("acme")
    return one.spent_usd, one.held_usd


async def test_L12_an_embedding_is_held_and_spent_in_the_budgets_of_its_request() -> None:
    line = line_of()
    await line.budgets.put(Budget("acme", "all", Decimal(1), "month"))
    await line.answer(ask("r1", FIRST))
    await line.answer(ask("r2", OTHER))
    rows = [UsageRecord.model_validate(row) for row in line.out("prompt.usage")]
    assert [(row.id, row.attempt) for row in rows] == [("r1", 1), ("r1", 0), ("r2", 0)]
    assert await money(line) == (sum(row.cost_usd for row in rows), 0)


async def test_L12_what_a_budget_cannot_pay_is_not_embedded_and_is_called_for_as_any_other() -> None:
    line = line_of()
    await line.answer(ask("r1", FIRST))
    await line.budgets.put(Budget("acme", "vectors", Decimal("0.000000001"), "month", model="memory/*"))
    assert await cached(line, ask("r2", OTHER)) is None
    assert len(line.embedder.calls) == 1
    assert await money(line) == (0, 0)


@pytest.mark.parametrize(("sent", "held"), [(True, True), (False, False)])
async def test_L12_an_embedding_that_may_have_cost_stays_held(sent: bool, held: bool) -> None:
    line = line_of()
    await line.answer(ask("r1", FIRST))
    await line.budgets.put(Budget("acme", "vectors", Decimal(1), "month", model="memory/*"))
    line.embedder.trouble = ModelError("away", outcome="timeout", sent=sent, retryable=True)
    assert await cached(line, ask("r2", OTHER)) is None
    spent, left = await money(line)
    assert (spent, left > 0) == (0, held)


async def test_the_usage_of_an_embedding_whose_worker_died_is_produced_by_wake() -> None:
    line = line_of()
    await line.answer(ask("r1", FIRST))
    assert line.store.bills == {}, "produced and noted"
    await line.intake().handle_batch([line.publish(ask("r2", OTHER))])
    (delivery,) = line.calls()
    worker = await line.infer()
    worker._ports.settler.settle = _dies  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        await worker.handle(delivery)
    before = len(line.out("prompt.usage"))
    await line.bookkeeper().book()
    assert len(line.out("prompt.usage")) == before
    line.pass_time(seconds=31)
    await line.bookkeeper().book()
    assert [(row["id"], row["attempt"]) for row in line.out("prompt.usage")[before:]] == [("r2", 0)]
    assert line.store.bills == {}


async def _dies(*_: Any) -> bool:
    raise asyncio.CancelledError
