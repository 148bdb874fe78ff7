"""Identical requests at the same time, through the stages (rule L14)."""

import asyncio
from typing import Any

from connectors.memory.model import says
from domain.errors import ModelError
from tests.line.memory_line import MemoryLine, claimed, request, running
from topics.result import PromptResult


async def in_flight(line: MemoryLine, *others: dict[str, Any]) -> "asyncio.Task[None]":
    """`r1` is being called for, and the `others` were delivered to another worker meanwhile."""
    work = await running(line, await line.infer(), await claimed(line))
    await line.intake().handle_batch([line.publish(body) for body in others])
    second = await line.infer("w2")
    for delivery in line.calls():
        await asyncio.wait_for(second.handle(delivery), 1)
    return work


def results(line: MemoryLine) -> dict[str, PromptResult]:
    rows = [PromptResult.model_validate(row) for row in line.out("prompt.results")]
    assert len({row.id for row in rows}) == len(rows)
    return {row.id: row for row in rows}


async def test_L14_one_call_answers_all_that_ask_the_same_each_with_its_own_result() -> None:
    line = MemoryLine()
    work = await in_flight(line, request("r2", tags={"team": "b"}), request("r3", metadata={"ticket": 7}))
    assert results(line) == {}
    line.model.let_go()
    await work
    found = results(line)
    assert {id: row.cached for id, row in found.items()} == {"r1": None, "r2": "coalesced", "r3": "coalesced"}
    assert [row.output for row in found.values()] == [{"label": "good"}] * 3
    assert (found["r2"].tags, found["r3"].metadata) == ({"team": "b"}, {"ticket": 7})
    assert [found[id].usage.attempts for id in ("r1", "r2", "r3")] == [1, 0, 0]
    assert [row["id"] for row in line.out("prompt.usage")] == ["r1"]
    assert len(line.model.calls) == 1


async def test_L14_only_what_the_cache_may_answer_is_given_anothers_answer() -> None:
    line = MemoryLine()
    line.model.hold()
    one, two = await line.infer(), await line.infer("w2")
    bodies = [request("r1"), request("r2", cache="bypass"), request("r3", cache="refresh")]
    bodies += [request("r4", parameters={"temperature": 1}), request("r5", model="smart")]
    await line.intake().handle_batch([line.publish(body) for body in bodies])
    work = [asyncio.ensure_future((one if n % 2 else two).handle(call)) for n, call in enumerate(line.calls())]
    while line.model.in_flight < 5:
        await asyncio.sleep(0)
    line.model.let_go()
    await asyncio.gather(*work)
    assert {row.cached for row in results(line).values()} == {None}


async def test_L14_when_the_holder_fails_one_of_the_others_asks_and_answers_the_rest() -> None:
    line = MemoryLine([ModelError("no", outcome="error", sent=True, retryable=False), says({"label": "bad"})])
    work = await in_flight(line, request("r2"), request("r3"))
    line.model.let_go()
    await work
    await line.wake().wake_due()
    infer = await line.infer("w3")
    for delivery in line.calls():
        await infer.handle(delivery)
    found = results(line)
    assert [found[id].status for id in ("r1", "r2", "r3")] == ["failed", "completed", "completed"]
    assert sorted(str(found[id].cached) for id in ("r2", "r3")) == ["None", "coalesced"]
    assert len(line.model.calls) == 2


async def test_L14_a_follower_whose_deadline_passes_ends_and_the_call_goes_on() -> None:
    line = MemoryLine()
    work = await in_flight(line, request("r2", deadline="2026-01-01T00:00:05.000Z"))
    line.pass_time(seconds=6)
    await line.wake().sweep()
    line.model.let_go()
    await work
    found = results(line)
    assert (found["r2"].status, found["r2"].error and found["r2"].error.code) == ("rejected", "deadline_exceeded")
    assert (found["r1"].status, found["r1"].usage.attempts) == ("completed", 1)


async def test_L14_an_answer_that_came_between_a_look_into_the_cache_and_the_call_is_given() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request("r1")), line.publish(request("r2"))])
    first, second = line.calls()
    infer = await line.infer()
    await infer.handle(first)
    await infer.handle(second)
    assert {id: row.cached for id, row in results(line).items()} == {"r1": None, "r2": "coalesced"}
    assert len(line.model.calls) == 1
