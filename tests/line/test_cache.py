"""The cache through the stages: how long, until when, and what is forgotten (rule L13)."""

from typing import Any

import pytest

from connectors.memory.model import says
from domain.accounts.model import Tenant
from domain.caching.generations import Scope, invalidation
from tests.line.memory_line import START, MemoryLine, claimed, request, running
from topics.codec import encode
from topics.result import PromptResult


def ask(id: str, **more: Any) -> dict[str, Any]:
    template = {"name": "sentiment", "variables": {"text": "Good."}}
    return {"id": id, "tenant": "acme", "template": template, **more}


def sentiment(label: str = "positive") -> Any:
    return says({"label": label, "confidence": 0.9, "evidence": "Good."})


def forget(line: MemoryLine, *scope: Any, generation: str = "g1") -> None:
    assert line.generations.hear(encode(invalidation("acme", Scope(*scope), generation, line.now)))


async def cached(line: MemoryLine, body: dict[str, Any]) -> str | None:
    result = await line.answer(body)
    assert result is not None
    assert result["status"] == "completed", result
    return PromptResult.model_validate(result).cached


async def test_a_hit_tells_its_age_and_what_it_saved() -> None:
    line = MemoryLine()
    first = await line.answer(request("r1"))
    line.pass_time(seconds=90)
    second = await line.answer(request("r2"))
    assert first is not None
    assert second is not None
    assert "cache" not in first
    assert second["cached"] == "exact"
    assert second["cache"] == {"age_s": 90.0, "saved_usd": first["usage"]["cost_usd"]}
    assert (second["usage"]["cost_usd"], second["usage"]["attempts"]) == ("0", 0)
    assert first["usage"]["cost_usd"] != "0"


SCOPES = [("tenant",), ("template", "sentiment"), ("template", "sentiment@1"), ("model", "fast")]


@pytest.mark.parametrize("scope", SCOPES)
async def test_L13_what_was_invalidated_is_asked_again_and_then_known_again(scope: tuple[Any, ...]) -> None:
    line = MemoryLine([sentiment(), sentiment("negative")])
    assert [await cached(line, ask("r1")), await cached(line, ask("r2"))] == [None, "exact"]
    forget(line, *scope)
    assert [await cached(line, ask("r3")), await cached(line, ask("r4"))] == [None, "exact"]
    assert line.out("prompt.results")[-1]["output"]["label"] == "negative"


async def test_L13_what_is_outside_the_scope_stays_known() -> None:
    line = MemoryLine([sentiment()])
    await cached(line, ask("r1"))
    forget(line, "template", "intent")
    forget(line, "tag", "team", generation="g2")
    assert await cached(line, ask("r2")) == "exact"


async def test_L13_an_answer_that_was_on_its_way_is_not_given_to_who_asks_after_the_invalidation() -> None:
    line = MemoryLine()
    infer = await line.infer()
    work = await running(line, infer, await claimed(line, id="r1"))
    forget(line, "tenant")
    line.model.let_go()
    await work
    assert await cached(line, request("r2")) is None
    assert len(line.model.calls) == 2


async def test_L13_who_asks_after_the_invalidation_does_not_wait_for_a_call_from_before() -> None:
    line = MemoryLine()
    work = await running(line, await line.infer(), await claimed(line, id="r1"))
    forget(line, "tenant")
    await line.intake().handle_batch([line.publish(request("r2"))])
    line.model.let_go()
    second = await line.infer("w2")
    for delivery in line.calls():
        await second.handle(delivery)
    await work
    assert {row["id"]: row["cached"] for row in line.out("prompt.results")} == {"r1": None, "r2": None}


async def test_a_tenant_keeps_its_answers_as_long_as_it_says() -> None:
    line = MemoryLine(tenants=[Tenant("acme", cache_ttl_s=30)])
    found = []
    for id, seconds in (("r1", 20), ("r2", 20), ("r3", 0)):
        found.append(await cached(line, request(id)))
        line.pass_time(seconds=seconds)
    assert found == [None, "exact", None]


async def test_a_tenant_that_keeps_nothing_is_asked_for_each_time() -> None:
    line = MemoryLine(tenants=[Tenant("acme", cache_ttl_s=0)])
    assert [await cached(line, request(id)) for id in ("r1", "r2")] == [None, None]


async def test_one_request_asks_anew_before_the_end_while_others_are_given_the_answer() -> None:
    line = MemoryLine()
    await cached(line, request("r1"))
    (key,) = line.cache._entries
    slow = encode({"output": {"label": "good"}, "model": "small", "provider": "simulated",
                   "at": START.timestamp(), "ttl": 100, "took": 5.0, "cost_usd": "0.1"})  # fmt: skip
    line.cache._entries[key] = (1e9, slow)
    line.pass_time(seconds=98)
    await line.intake(draw=lambda: 0.0).handle_batch([line.publish(request("r2"))])
    await line.intake(draw=lambda: 0.9).handle_batch([line.publish(request("r3"))])
    assert [row["id"] for row in line.out("prompt.results")] == ["r1", "r2"]
    assert line.metrics.value("cache_lookups", outcome="early") == 1
