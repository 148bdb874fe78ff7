"""OpenAI's own client against the compatible route, with nothing but its base_url changed."""

import asyncio
from dataclasses import replace
from typing import Any, Literal

import httpx
import openai
import orjson
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from domain.ledger.results import Ending, failed, rejected
from domain.ports import Chunk
from domain.routing.model import Piece, ToolPiece
from tests.api.door import Door, completed
from topics.headers import CUT_IS_ANSWER, REPLY_TO
from topics.table import REQUESTS

HELLO: Any = [{"role": "user", "content": "Where is my parcel?"}]
TOOL: Any = {"type": "function", "function": {"name": "track", "parameters": {"type": "object", "properties": {}}}}
CALLS = [{"id": "call_1", "type": "function", "function": {"name": "track", "arguments": '{"n": 7}'}}]


class Label(BaseModel):
    label: Literal["positive", "negative"]


@pytest.fixture
async def client(door: Door) -> AsyncOpenAI:
    return connect(door, door.issued.secret)


def connect(door: Door, key: str) -> AsyncOpenAI:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(door.app, raise_app_exceptions=False))
    return AsyncOpenAI(api_key=key, base_url="http://door/openai/v1", http_client=http, max_retries=0)


def named(id: str, **more: Any) -> dict[str, Any]:
    """The field for what OpenAI has no word for."""
    return {"structured_prompt": {"id": id, **more}}


async def test_a_completion(door: Door, client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="fast", messages=HELLO, temperature=0, max_tokens=50, stop="END", user="user-7", extra_body=named("a")
    )
    assert (answer.id, answer.object, answer.choices[0].message.content) == ("a", "chat.completion", "On its way.")
    assert (answer.choices[0].finish_reason, answer.model) == ("stop", "simulated/small")
    assert answer.usage is not None
    [asked] = door.produced()
    assert asked["parameters"] == {"temperature": 0, "max_tokens": 50, "stop": ["END"]}
    assert (asked["messages"], asked["subject"], asked["on_limit"]) == (HELLO, "user-7", "reject")


async def test_a_bare_name_is_a_model_of_the_catalogue(door: Door, client: AsyncOpenAI) -> None:
    await client.chat.completions.create(model="small", messages=HELLO)
    assert door.produced()[0]["model"] == "simulated/small"


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    assert {"fast", "smart", "simulated/small"} <= set(names)


@pytest.mark.parametrize(
    ("name", "owner"),
    [("fast", "structured-prompt"), ("simulated/small", "simulated"), ("small", "simulated")],
)
async def test_one_model_is_read_before_it_is_asked(client: AsyncOpenAI, name: str, owner: str) -> None:
    model = await client.models.retrieve(name)
    assert (model.id, model.object, model.owned_by) == (name, "model", owner)


@pytest.mark.parametrize("name", ["nope", "simulated/nope"])
async def test_a_model_that_is_not_there_is_not_found(client: AsyncOpenAI, name: str) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.models.retrieve(name)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_a_parsed_answer_has_the_class_it_was_asked_for(door: Door, client: AsyncOpenAI) -> None:
    door.line.endings["a"] = completed({"label": "negative"})
    answer = await client.chat.completions.parse(
        model="fast", messages=HELLO, response_format=Label, extra_body=named("a")
    )
    assert answer.choices[0].message.parsed == Label(label="negative")
    assert door.produced()[0]["output_schema"]["properties"]["label"]["enum"] == ["positive", "negative"]


async def test_json_mode_is_a_schema_of_any_object(door: Door, client: AsyncOpenAI) -> None:
    door.line.endings["a"] = completed({"n": 1})
    answer = await client.chat.completions.create(
        model="fast", messages=HELLO, response_format={"type": "json_object"}, extra_body=named("a")
    )
    assert answer.choices[0].message.content == '{"n":1}'
    assert door.produced()[0]["output_schema"] == {"type": "object"}


async def test_tools_go_to_the_provider_and_their_calls_come_back(door: Door, client: AsyncOpenAI) -> None:
    door.line.endings["a"] = completed(orjson.dumps(CALLS).decode())
    answer = await client.chat.completions.create(
        model="fast", messages=HELLO, tools=[TOOL], tool_choice="auto", parallel_tool_calls=False, extra_body=named("a")
    )
    choice = answer.choices[0]
    assert (choice.finish_reason, choice.message.content) == ("tool_calls", None)
    assert choice.message.tool_calls is not None
    assert choice.message.tool_calls[0].model_dump() == CALLS[0]
    asked = door.produced()[0]
    assert asked["provider_options"] == {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": False}
    turns: Any = [*HELLO, choice.message.model_dump(), {"role": "tool", "tool_call_id": "call_1", "content": "Bremen"}]
    await client.chat.completions.create(model="fast", messages=turns, tools=[TOOL])
    said = door.produced()[1]["messages"]
    assert said[1] == {"role": "assistant", "content": "", "tool_calls": CALLS}
    assert said[2]["tool_call_id"] == "call_1"


async def test_a_text_that_looks_like_calls_is_text_where_there_are_no_such_tools(
    door: Door, client: AsyncOpenAI
) -> None:
    text = orjson.dumps(CALLS).decode()
    door.line.endings |= {"a": completed(text), "b": completed(text)}
    other: Any = {"type": "function", "function": {"name": "other", "parameters": {}}}
    for id, tools in (("a", openai.omit), ("b", [other])):
        answer = await client.chat.completions.create(
            model="fast", messages=HELLO, tools=tools, extra_body=named(id)  # type: ignore[arg-type]
        )  # fmt: skip
        assert answer.choices[0].message.content == text


async def test_a_stream_of_text(door: Door, client: AsyncOpenAI) -> None:
    door.line.answering.clear()
    door.line.endings["a"] = completed("One two three.")
    asking = asyncio.create_task(
        client.chat.completions.create(
            model="fast", messages=HELLO, stream=True, stream_options={"include_usage": True}, extra_body=named("a")
        )
    )
    while not door.line.claims:
        await asyncio.sleep(0.01)
    instance = dict(door.broker.log[REQUESTS][0].headers)[REPLY_TO].decode()
    await door.chunks.send([Chunk(instance, "acme", "a", 0, "One "), Chunk(instance, "acme", "a", 4, "two ")])
    await asyncio.sleep(0.05)
    door.line.answering.set()
    chunks = [chunk async for chunk in await asking]
    said = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert said == ["One ", "two ", "three."]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert {chunk.id for chunk in chunks} == {"a"}


async def test_with_a_schema_the_validated_answer_is_streamed(door: Door, client: AsyncOpenAI) -> None:
    door.line.endings["a"] = completed({"label": "positive"})
    async with client.chat.completions.stream(
        model="fast", messages=HELLO, response_format=Label, extra_body=named("a")
    ) as stream:
        answer = await stream.get_final_completion()
    assert answer.choices[0].message.parsed == Label(label="positive")


async def test_calls_of_tools_are_streamed(door: Door, client: AsyncOpenAI) -> None:
    door.line.endings["a"] = completed(orjson.dumps(CALLS).decode())
    stream = await client.chat.completions.create(
        model="fast", messages=HELLO, tools=[TOOL], stream=True, extra_body=named("a")
    )
    deltas = [call for chunk in [c async for c in stream] for call in chunk.choices[0].delta.tool_calls or ()]
    assert [(call.id, call.function.name if call.function else "") for call in deltas] == [("call_1", "track")]


async def tool_calls(door: Door, client: AsyncOpenAI, *pieces: Chunk, output: list[dict[str, Any]]) -> list[Any]:
    """The deltas of calls that a client is sent when these pieces came before the end."""
    door.line.answering.clear()
    door.line.endings["a"] = completed(orjson.dumps(output).decode())
    asking = asyncio.create_task(
        client.chat.completions.create(
            model="fast", messages=HELLO, tools=[TOOL], stream=True, extra_body=named("a")
        )
    )  # fmt: skip
    while not door.line.claims:
        await asyncio.sleep(0.01)
    instance = dict(door.broker.log[REQUESTS][0].headers)[REPLY_TO].decode()
    await door.chunks.send([replace(piece, instance=instance) for piece in pieces])
    await asyncio.sleep(0.05)
    door.line.answering.set()
    chunks = [chunk async for chunk in await asking]
    assert chunks[-1].choices[0].finish_reason == "tool_calls"
    return [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]


def piece(at: int, said: Piece) -> Chunk:
    return Chunk("", "acme", "a", at, said)


async def test_calls_of_tools_are_streamed_while_they_are_written(door: Door, client: AsyncOpenAI) -> None:
    pieces = [
        piece(0, ToolPiece(0, "", "call_1", "track")),
        piece(1, ToolPiece(0, '{"n":')),
        piece(7, ToolPiece(0, " 7}")),
    ]
    found = await tool_calls(door, client, *pieces, output=CALLS)
    assert [(call.index, call.id, call.type, call.function.name, call.function.arguments) for call in found] == [
        (0, "call_1", "function", "track", ""),
        (0, None, None, None, '{"n":'),
        (0, None, None, None, " 7}"),
    ]


async def test_a_piece_of_a_call_that_was_lost_is_made_up_for_at_the_end(door: Door, client: AsyncOpenAI) -> None:
    pieces = [piece(0, ToolPiece(0, "", "call_1", "track")), piece(7, ToolPiece(0, " 7}"))]
    second = {**CALLS[0], "id": "call_2"}
    found = await tool_calls(door, client, *pieces, output=[*CALLS, second])
    assert "".join(call.function.arguments for call in found if call.index == 0) == '{"n": 7}'
    assert found[-1].model_dump() == {"index": 1, **second}


async def test_what_a_provider_calls_that_was_not_offered_is_not_begun(door: Door, client: AsyncOpenAI) -> None:
    door.line.answering.clear()
    text = orjson.dumps([{**CALLS[0], "function": {"name": "other", "arguments": "{}"}}]).decode()
    door.line.endings["a"] = completed(text)
    asking = asyncio.create_task(
        client.chat.completions.create(model="fast", messages=HELLO, tools=[TOOL], stream=True, extra_body=named("a"))
    )
    while not door.line.claims:
        await asyncio.sleep(0.01)
    instance = dict(door.broker.log[REQUESTS][0].headers)[REPLY_TO].decode()
    await door.chunks.send([Chunk(instance, "acme", "a", 0, ToolPiece(0, "{}", "call_1", "other"))])
    await asyncio.sleep(0.05)
    door.line.answering.set()
    deltas = [chunk.choices[0].delta async for chunk in await asking]
    assert not any(delta.tool_calls for delta in deltas)
    assert "".join(delta.content or "" for delta in deltas) == text


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("ending", "raised"),
    [
        (rejected("rate_limited", "too fast"), (openai.RateLimitError, 429, "rate_limit_exceeded")),
        (rejected("budget_exceeded", "spent"), (openai.RateLimitError, 429, "insufficient_quota")),
        (rejected("content_blocked", "no"), (openai.BadRequestError, 400, "content_filter")),
        (failed("provider_error", "500"), (openai.InternalServerError, 502, "provider_error")),
        (failed("invalid_output", "broken"), (openai.InternalServerError, 502, "invalid_output")),
    ],
    ids=lambda value: value.code if isinstance(value, Ending) else None,
)
async def test_what_fails_is_the_clients_own_exception(
    door: Door, client: AsyncOpenAI, stream: bool, ending: Ending, raised: tuple[Any, int, str]
) -> None:
    error, status, code = raised
    door.line.endings["a"] = ending
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model="fast", messages=HELLO, stream=stream, extra_body=named("a"))
    assert (caught.value.status_code, caught.value.code) == (status, code)
    again = caught.value.response.headers["x-should-retry"]
    assert again == ("true" if code == "rate_limit_exceeded" else "false")


async def test_a_stream_that_fails_on_its_way_ends_with_the_error(door: Door, client: AsyncOpenAI) -> None:
    door.line.answering.clear()
    door.line.endings["a"] = failed("provider_error", "the connection was cut")
    asking = asyncio.create_task(
        client.chat.completions.create(model="fast", messages=HELLO, stream=True, extra_body=named("a"))
    )
    while not door.line.claims:
        await asyncio.sleep(0.01)
    instance = dict(door.broker.log[REQUESTS][0].headers)[REPLY_TO].decode()
    await door.chunks.send([Chunk(instance, "acme", "a", 0, "Half")])
    await asyncio.sleep(0.05)
    door.line.answering.set()
    with pytest.raises(openai.APIError, match="the connection was cut"):
        async for _ in await asking:
            pass


async def test_text_that_comes_with_calls_of_tools_is_content(door: Door, client: AsyncOpenAI) -> None:
    text = {"type": "text", "text": "One moment."}
    door.line.endings |= {id: completed(orjson.dumps([text, *CALLS]).decode()) for id in ("a", "b")}
    answer = await client.chat.completions.create(model="fast", messages=HELLO, tools=[TOOL], extra_body=named("a"))
    message = answer.choices[0].message
    assert (message.content, answer.choices[0].finish_reason) == ("One moment.", "tool_calls")
    assert message.tool_calls is not None
    assert [call.model_dump() for call in message.tool_calls] == CALLS
    stream = await client.chat.completions.create(
        model="fast", messages=HELLO, tools=[TOOL], extra_body=named("b"), stream=True
    )
    deltas = [chunk.choices[0].delta async for chunk in stream]
    assert "".join(one.content or "" for one in deltas) == "One moment."
    assert [call.id for one in deltas for call in one.tool_calls or ()] == ["call_1"]
    door.line.endings["c"] = completed(orjson.dumps([text]).decode())
    plain = await client.chat.completions.create(model="fast", messages=HELLO, tools=[TOOL], extra_body=named("c"))
    assert (plain.choices[0].message.tool_calls, plain.choices[0].finish_reason) == (None, "stop")


async def test_what_is_published_says_that_a_cut_text_is_an_answer(door: Door, client: AsyncOpenAI) -> None:
    await client.chat.completions.create(model="fast", messages=HELLO, max_tokens=3)
    await door.ask()
    told = [dict(record.headers).get(CUT_IS_ANSWER) for record in door.broker.log[REQUESTS]]
    assert told == [b"1", None]


async def test_a_refusal_and_a_cut_answer_are_answers(door: Door, client: AsyncOpenAI) -> None:
    cut = failed("invalid_output", "cut at max_tokens")
    cut.output = "Half of"
    door.line.endings |= {"a": failed("refused", "I will not."), "b": cut}
    refused = await client.chat.completions.create(model="fast", messages=HELLO, extra_body=named("a"))
    assert (refused.choices[0].message.content, refused.choices[0].message.refusal) == (None, "I will not.")
    half = await client.chat.completions.create(model="fast", messages=HELLO, extra_body=named("b"))
    assert (half.choices[0].message.content, half.choices[0].finish_reason) == ("Half of", "length")


async def test_a_wrong_key_and_an_unknown_model(door: Door, client: AsyncOpenAI) -> None:
    with pytest.raises(openai.AuthenticationError) as wrong:
        await connect(door, "sk-wrong").chat.completions.create(model="fast", messages=HELLO)
    assert wrong.value.code == "invalid_api_key"
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="gpt-99", messages=HELLO)
    assert unknown.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"n": 2}, "n"),
        ({"temperature": 9}, "parameters.temperature"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"extra_body": {"structured_prompt": {"lanes": "bulk"}}}, "structured_prompt.lanes"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"extra_body": {"structured_prompt": []}}, "structured_prompt"),
    ],
)
async def test_what_cannot_be_kept_is_refused(client: AsyncOpenAI, more: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="fast", messages=HELLO, **more)
    assert (caught.value.code, caught.value.param) == ("invalid_request", param)


async def test_a_retry_with_the_same_key_is_the_same_request(door: Door, client: AsyncOpenAI) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = await client.chat.completions.create(model="fast", messages=HELLO, extra_headers=key)
    second = await client.chat.completions.create(model="fast", messages=HELLO, extra_headers=key)
    assert first.id == second.id
    assert door.line.claims == 1


async def test_what_takes_too_long_names_its_job(door: Door, client: AsyncOpenAI) -> None:
    door.line.open.clear()
    with pytest.raises(openai.InternalServerError, match="/v1/jobs/a/result") as caught:
        await client.chat.completions.create(
            model="fast", messages=HELLO, extra_body=named("a"), extra_headers={"Prefer": "wait=0"}
        )
    assert (caught.value.status_code, caught.value.response.headers["x-should-retry"]) == (504, "false")
