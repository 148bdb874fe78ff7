"""A streamed answer is said as it comes, and judged and billed like one that came whole."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from connectors.llm.direct import DirectModel
from domain.errors import ModelError
from domain.routing.model import ModelReply, Piece, ToolPiece
from ops.local.provider.server import Provider
from tests.llm.wire import call, wire

TOOL = {"type": "function", "function": {"name": "track", "parameters": {"type": "object"}}}


@pytest.fixture
async def model() -> AsyncIterator[DirectModel]:
    model = DirectModel()
    yield model
    await model.close()


def streamed(*events: Any, end: bytes = b"data: [DONE]\n\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    return head + b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events) + end


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"id": "c1", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


USAGE = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}


async def ask(
    model: DirectModel, *answers: bytes, dialect: str = "openai", **more: Any
) -> tuple[ModelReply, list[Piece]]:
    said: list[Piece] = []
    async with wire(*answers) as provider:
        reply = await model.call(replace(call(provider.url, dialect=dialect, **more), say=said.append))
        assert provider.asked[0].body["stream"] is True
    return reply, said


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_the_simulated_provider_says_the_same_streamed_and_whole(model: DirectModel, dialect: str) -> None:
    provider = Provider()
    url = f"http://127.0.0.1:{await provider.serve('127.0.0.1', 0)}/v1"
    said: list[Any] = []
    asked = call(url, dialect=dialect, messages=[{"role": "user", "content": "Where is my parcel? It is late."}])
    whole = await model.call(asked)
    pieces = await model.call(replace(asked, say=said.append))
    await provider.close()
    assert (pieces.text, pieces.finish) == (whole.text, whole.finish) == ("".join(said), "stop")
    assert (pieces.tokens.input, pieces.tokens.output) == (whole.tokens.input, whole.tokens.output)
    assert not pieces.tokens.estimated


async def test_text_comes_piece_by_piece_and_its_usage_at_the_end(model: DirectModel) -> None:
    answer = streamed(
        delta(role="assistant", content=""), delta(content="Hello "), delta(content="you"), delta("stop"), USAGE
    )
    reply, said = await ask(model, answer)
    assert (said, reply.text, reply.finish) == (["Hello ", "you"], "Hello you", "stop")
    assert (reply.tokens.input, reply.tokens.output) == (7, 3)


async def test_calls_of_tools_are_said_as_they_come_and_put_together(model: DirectModel) -> None:
    first = {"index": 0, "id": "t1", "type": "function", "function": {"name": "track", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": part}} for part in ('{"n"', ":1}")]
    events = [delta(tool_calls=[part]) for part in (first, *rest)]
    reply, said = await ask(model, streamed(*events, delta("tool_calls"), USAGE), provider_options={"tools": [TOOL]})
    assert reply.tool_calls
    assert said == [ToolPiece(0, "", "t1", "track"), ToolPiece(0, '{"n"'), ToolPiece(0, ":1}")]
    assert orjson.loads(reply.text) == [
        {"type": "function", "id": "t1", "function": {"name": "track", "arguments": '{"n":1}'}}
    ]


async def test_calls_of_several_tools_are_counted_from_nought_in_the_order_they_begin_in(model: DirectModel) -> None:
    parts = [
        {"index": 2, "id": "t1", "type": "function", "function": {"name": "track", "arguments": "{}"}},
        {"index": 5, "id": "t2", "type": "function", "function": {"name": "find", "arguments": ""}},
        {"index": 5, "id": "t2", "function": {"name": "find", "arguments": '{"q":2}'}},
    ]
    answer = streamed(delta(content="Both. "), delta(tool_calls=parts), delta("tool_calls"), USAGE)
    reply, said = await ask(model, answer, provider_options={"tools": [TOOL]})
    assert said == [
        "Both. ", ToolPiece(0, "{}", "t1", "track"), ToolPiece(1, "", "t2", "find"), ToolPiece(1, '{"q":2}'),
    ]  # fmt: skip
    assert [call["id"] for call in orjson.loads(reply.text)[1:]] == ["t1", "t2"]


async def test_anthropics_blocks_are_said_as_they_come_and_put_together(model: DirectModel) -> None:
    events = [
        {"type": "message_start", "message": {"id": "m1", "usage": {"input_tokens": 9, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "One moment."}},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "track"}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"n":'}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": "1}"}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 12}},
        {"type": "message_stop"},
    ]  # fmt: skip
    reply, said = await ask(model, streamed(*events), dialect="anthropic", provider_options={"tools": [TOOL]})
    assert reply.tool_calls
    assert said == ["One moment.", ToolPiece(0, "", "t", "track"), ToolPiece(0, '{"n":'), ToolPiece(0, "1}")]
    assert orjson.loads(reply.text) == [
        {"type": "text", "text": "One moment."}, {"type": "tool_use", "id": "t", "name": "track", "input": {"n": 1}},
    ]  # fmt: skip
    assert (reply.tokens.input, reply.tokens.output) == (9, 12)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (streamed(delta(content="Half of"), end=b""), "ended before the answer"),
        (streamed(delta(content="a"), {"error": {"message": "overloaded"}}), "overloaded"),
        (streamed(delta(content="a"), end=b"data: {nonsense\n\n"), "not the form"),
    ],
    ids=["cut", "error", "nonsense"],
)
async def test_a_stream_that_breaks_is_a_failed_call(model: DirectModel, answer: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason) as caught:
        await ask(model, answer)
    assert caught.value.sent


async def test_a_provider_that_does_not_stream_answers_all_the_same(model: DirectModel) -> None:
    body = orjson.dumps({"choices": [{"message": {"content": "whole"}, "finish_reason": "stop"}]})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    reply, said = await ask(model, head + body)
    assert (reply.text, said) == ("whole", [])
