"""The scripted model is a Model like any other."""

import asyncio

import pytest

from connectors.memory.model import ScriptedModel, says
from domain.errors import ModelError
from domain.ports import Model
from tests.llm.wire import call

LIMITED = ModelError("slow down", outcome="rate_limited", sent=True, retryable=True)


async def test_it_follows_its_script_and_then_repeats_itself() -> None:
    model: Model = ScriptedModel([says({"a": 1}), LIMITED, lambda asked: says(asked.request_id)], says("again"))
    assert (await model.call(call("http://x"))).text == '{"a":1}'
    with pytest.raises(ModelError, match="slow down"):
        await model.call(call("http://x"))
    texts = [(await model.call(call("http://x"))).text for _ in range(3)]
    assert texts == ["call-1", "again", "again"]


async def test_it_holds_calls_until_it_lets_go() -> None:
    model = ScriptedModel()
    model.hold()
    waiting = asyncio.create_task(model.call(call("http://x")))
    await asyncio.sleep(0)
    assert (model.in_flight, len(model.calls)) == (1, 1)
    model.let_go()
    assert (await waiting).text == "ok"
    assert model.in_flight == 0


async def test_a_held_call_times_out() -> None:
    model = ScriptedModel()
    model.hold()
    with pytest.raises(ModelError) as caught:
        await model.call(call("http://x", timeout_s=0.01))
    assert caught.value.outcome == "timeout"
    await model.close()
    assert model.closed
