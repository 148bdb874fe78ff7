"""The LiteLLM adapter over real HTTP, to a server of ours: the same port, the same words for failures."""

import warnings
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from connectors.llm.litellm import LiteLLMModel, foreign
from connectors.llm.router import RoutedModel
from domain.errors import ModelError
from domain.routing.model import ModelCall, Piece, Tokens, ToolPiece
from tests.llm.wire import HANG, call, completion, http, wire

pytest.importorskip("litellm", reason="the extra litellm is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def adapter() -> LiteLLMModel:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LiteLLMModel()


@pytest.fixture
async def model(adapter: LiteLLMModel) -> AsyncIterator[LiteLLMModel]:
    yield adapter
    await adapter.close()


def asked(url: str, **changes: Any) -> ModelCall:
    return call(url, dialect="litellm", model="openai/m", **changes)


async def failure(model: LiteLLMModel, question: ModelCall) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await model.call(question)
    return caught.value


async def test_an_answer_comes_through(model: LiteLLMModel) -> None:
    async with wire(http(completion("hi"))) as provider:
        reply = await model.call(asked(provider.url, parameters={"max_tokens": 9, "temperature": 0}))
        sent = provider.asked[0]
    assert (reply.text, reply.finish, reply.tokens) == ("hi", "stop", Tokens(31, 8))
    assert (sent.body["model"], sent.body["max_tokens"]) == ("m", 9)
    assert (sent.headers["x-client-request-id"], sent.headers["authorization"]) == ("call-1", "bearer sk-test")


async def test_a_schema_is_passed_on(model: LiteLLMModel) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    async with wire(http(completion("{}"))) as provider:
        await model.call(asked(provider.url, output_schema=schema))
        assert provider.asked[0].body["response_format"]["json_schema"]["schema"] == schema


def streamed(*events: dict[str, Any], done: bool = True) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
    body = b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)
    return head + body + (b"data: [DONE]\n\n" if done else b"")


def delta(finish: str | None = None, **said: Any) -> dict[str, Any]:
    choices = [{"index": 0, "delta": said, "finish_reason": finish}]
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}


USAGE = {**delta(), "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}}


async def test_text_comes_piece_by_piece_and_its_usage_at_the_end(model: LiteLLMModel) -> None:
    said: list[Piece] = []
    pieces = (
        delta(role="assistant", content=""),
        delta(content="On "),
        delta(content="its way."),
        delta("stop"),
        USAGE,
    )
    async with wire(streamed(*pieces)) as provider:
        reply = await model.call(replace(asked(provider.url), say=said.append))
        sent = provider.asked[0].body
    assert (sent["stream"], sent["stream_options"]) == (True, {"include_usage": True})
    assert (said, reply.text, reply.finish, reply.tokens) == (["On ", "its way."], "On its way.", "stop", Tokens(7, 3))


async def test_calls_of_tools_are_said_as_they_come_and_put_together_from_their_pieces(model: LiteLLMModel) -> None:
    name = {"index": 0, "id": "t1", "type": "function", "function": {"name": "track", "arguments": ""}}
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in ('{"a"', ": 1}")]
    pieces = [delta(tool_calls=[part]) for part in (name, *rest)]
    said: list[Piece] = []
    async with wire(streamed(*pieces, delta("tool_calls"), USAGE)) as provider:
        reply = await model.call(replace(asked(provider.url), say=said.append))
    assert said == [ToolPiece(0, "", "t1", "track"), ToolPiece(0, '{"a"'), ToolPiece(0, ": 1}")]
    (found,) = orjson.loads(reply.text)
    assert (found["id"], found["function"]) == ("t1", {"name": "track", "arguments": '{"a": 1}'})
    assert (reply.finish, reply.tool_calls) == ("tool_calls", True)


async def test_a_stream_that_is_refused_is_a_failure_as_any_other(model: LiteLLMModel) -> None:
    async with wire(http({"error": {"message": "no"}}, "429 Too Many Requests")) as provider:
        error = await failure(model, replace(asked(provider.url), say=lambda _: None))
    assert (error.outcome, error.retryable) == ("rate_limited", True)


@pytest.mark.parametrize(
    ("status", "outcome", "retryable"),
    [
        ("400 Bad Request", "error", False),
        ("401 Unauthorized", "error", False),
        ("404 Not Found", "error", False),
        ("429 Too Many Requests", "rate_limited", True),
        ("500 Internal Server Error", "error", True),
        ("503 Service Unavailable", "error", True),
    ],
)
async def test_a_status_says_what_happened(model: LiteLLMModel, status: str, outcome: str, retryable: bool) -> None:
    said = {"error": {"message": "no", "type": "x", "code": None}}
    async with wire(http(said, status, retry_after="3")) as provider:
        error = await failure(model, asked(provider.url))
        calls = len(provider.asked)
    assert (error.outcome, error.sent, error.retryable) == (outcome, True, retryable)
    assert calls == 1, "retries have one owner, and it is not LiteLLM"


async def test_silence_ends_at_the_time_out(model: LiteLLMModel) -> None:
    async with wire(HANG) as provider:
        error = await failure(model, asked(provider.url, timeout_s=0.2))
    assert (error.outcome, error.sent, error.retryable) == ("timeout", True, True)


async def test_what_is_no_answer_may_be_tried_again(model: LiteLLMModel) -> None:
    async with wire(http(b"<html>", content_type="text/html")) as provider:
        error = await failure(model, asked(provider.url))
    assert (error.outcome, error.sent, error.retryable) == ("error", True, True)


async def test_an_unreachable_provider_may_be_tried_again(model: LiteLLMModel) -> None:
    error = await failure(model, asked("http://127.0.0.1:9/v1"))
    assert (error.outcome, error.retryable) == ("error", True)


def test_litellms_list_knows_prices_without_being_imported() -> None:
    find = foreign()
    assert find is not None
    found = find("openai/gpt-4o-mini")
    assert found is not None
    assert (found.dialect, found.model, str(found.price.input)) == ("litellm", "openai/gpt-4o-mini", "0.15")
    assert found.price.version.startswith("litellm-")
    assert find("nobody/knows") is None
    assert find("/gpt-4o-mini") is None


async def test_a_process_without_litellm_says_so() -> None:
    model = RoutedModel()
    with pytest.raises(ModelError, match="started without") as caught:
        await model.call(asked("http://127.0.0.1:9/v1"))
    assert (caught.value.sent, caught.value.retryable) == (False, False)
    await model.close()


async def test_the_dialect_chooses_the_adapter() -> None:
    async with wire(http(completion("direct"))) as provider:
        model = RoutedModel()
        assert (await model.call(replace(call(provider.url)))).text == "direct"
        await model.close()
