"""Text on its way from infer to the API instance that waits."""

from dataclasses import replace

import pytest

from agents.emit import letters_again
from connectors.memory.model import Step, says
from domain.errors import ModelError
from domain.ports import Chunk
from domain.routing.model import ModelCall, ModelReply, Tokens
from tests.line.memory_line import MemoryLine, outcomes, request
from topics.call import PromptCall
from topics.codec import encode
from topics.headers import CUT_IS_ANSWER, REPLY_TO, STREAMS

HEADERS = [(REPLY_TO, b"api-1"), (STREAMS, b"1")]


def speaks(*pieces: str, finish: str = "stop") -> Step:
    def step(call: ModelCall) -> ModelReply:
        for piece in pieces:
            if call.say is not None:
                call.say(piece)
        return ModelReply("".join(pieces), finish, Tokens(10, 5))

    return step


def breaks(call: ModelCall) -> ModelReply:
    assert call.say is not None
    call.say("Half of an")
    raise ModelError("the connection was cut", outcome="error", sent=True, retryable=True)


async def result_of(line: MemoryLine, **more: object) -> dict[str, object]:
    infer = await line.infer()
    await line.intake().handle_batch([line.publish(request(**more), headers=HEADERS)])
    for delivery in line.calls():
        await infer.handle(delivery)
    found = line.out("prompt.results")
    return dict(found[-1]) if found else {}


async def said(line: MemoryLine) -> list[Chunk]:
    return list(line.chunks._kept.get("api-1", ()))


async def test_text_is_sent_as_the_provider_gives_it() -> None:
    line = MemoryLine([speaks("Yes, ", "it is.")])
    result = await result_of(line, output_schema=None)
    assert result["output"] == "Yes, it is."
    assert await said(line) == [Chunk("api-1", "acme", "r1", 0, "Yes, "), Chunk("api-1", "acme", "r1", 5, "it is.")]


async def test_with_a_schema_nothing_is_said_before_it_is_valid() -> None:
    line = MemoryLine([speaks('{"label": "good"}')])
    assert (await result_of(line))["output"] == {"label": "good"}
    assert line.model.calls[0].say is None
    assert await said(line) == []


async def test_who_does_not_stream_gets_no_text() -> None:
    line = MemoryLine([speaks("Yes.")])
    assert (await line.answer(request(output_schema=None)) or {})["output"] == "Yes."
    assert line.model.calls[0].say is None


@pytest.mark.parametrize("step", [breaks, speaks("Half of an", finish="length")], ids=["broken", "cut"])
async def test_after_the_first_text_nobody_else_is_asked(step: Step) -> None:
    line = MemoryLine([step])
    result = await result_of(line, output_schema=None)
    assert (result["status"], len(line.model.calls)) == ("failed", 1)
    assert outcomes(line) == ["error" if step is breaks else "length"]


async def test_before_the_first_text_a_failure_is_tried_again() -> None:
    line = MemoryLine([ModelError("busy", outcome="error", sent=True, retryable=True)])
    assert await result_of(line, output_schema=None) == {}
    assert line.store.requests["acme", "r1"].state == "waiting"


async def test_a_text_that_its_limit_cut_is_kept_with_the_error() -> None:
    line = MemoryLine([speaks("Half of an", finish="length")])
    result = await result_of(line, output_schema=None, parameters={"max_tokens": 3})
    assert (result["status"], result["output"]) == ("failed", "Half of an")
    assert len(line.out("prompt.dead-letters")) == 1


async def test_a_cut_text_that_is_an_answer_to_who_asked_leaves_no_dead_letter() -> None:
    cut = (CUT_IS_ANSWER, b"1")
    for step, schema, letters in (
        (speaks("Half of an", finish="length"), None, 0),
        (says('{"a', finish="length"), {}, 1),
    ):
        line = MemoryLine([step])
        body = request(output_schema=schema, parameters={"max_tokens": 3})
        delivery = line.publish(body)
        await line.intake().handle_batch([replace(delivery, headers=(*delivery.headers, cut))])
        (call,) = line.calls()
        await (await line.infer()).handle(call)
        (result,) = line.out("prompt.results")
        assert (result["status"], result["error"]["code"]) == ("failed", "invalid_output")
        assert len(line.out("prompt.dead-letters")) == letters
        stored = encode(result)
        assert len(letters_again(PromptCall.decode(call.value or b""), 1, stored)) == letters
