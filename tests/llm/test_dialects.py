"""What is sent and what is read, in both dialects."""

from typing import Any

import orjson
import pytest

from connectors.llm.direct import DirectModel
from domain.routing.model import ModelReply, Tokens
from tests.llm.wire import Asked, call, completion, http, message, wire

OPEN = {"type": "object", "properties": {"label": {"type": "string"}}}
CLOSED = OPEN | {"required": ["label"], "additionalProperties": False}


async def exchange(answer: dict[str, Any], **changes: Any) -> tuple[Asked, ModelReply]:
    """One call answered with `answer`: what arrived, and what came of it."""
    async with wire(http(answer, x_request_id="req-9", x_ratelimit_remaining_requests="41")) as provider:
        model = DirectModel()
        reply = await model.call(call(provider.url, **changes))
        await model.close()
        return provider.asked[0], reply


async def claude(answer: dict[str, Any], **changes: Any) -> tuple[Asked, ModelReply]:
    return await exchange(answer, dialect="anthropic", **changes)


def said(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


async def test_openai_gets_its_request() -> None:
    asked, _ = await exchange(
        completion(),
        parameters={"temperature": 0, "max_tokens": 9, "seed": 4, "stop": ["x"]},
        provider_options={"user": "u", "logit_bias": {}},
        headers={"x-title": "us"},
    )
    assert asked.path == "/v1/chat/completions"
    assert asked.body == {
        "model": "m",
        "messages": [{"role": "user", "content": "How do I feel?"}],
        "max_tokens": 9,
        "temperature": 0,
        "seed": 4,
        "stop": ["x"],
        "user": "u",
        "logit_bias": {},
    }
    head = asked.headers
    assert (head["authorization"], head["x-client-request-id"], head["x-title"]) == ("bearer sk-test", "call-1", "us")


async def test_without_a_key_no_authorization_is_sent() -> None:
    asked, _ = await exchange(completion(), api_key=None)
    assert "authorization" not in asked.headers


async def test_a_missing_limit_is_the_catalogues_under_the_models_own_name() -> None:
    asked, _ = await exchange(
        completion(),
        max_output_tokens=77,
        max_tokens_field="max_completion_tokens",
        omits=("temperature",),
        parameters={"temperature": 1},
    )
    assert asked.body["max_completion_tokens"] == 77
    assert not asked.body.keys() & {"max_tokens", "temperature"}


@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
async def test_options_cannot_change_the_model_or_the_limit(dialect: str) -> None:
    options = {"model": "dear", "messages": [], "stream": True, "max_tokens": 9_999, "n": 5, "top_k": 3}
    answer = completion() if dialect == "openai" else message(said("hi"))
    asked, _ = await exchange(answer, dialect=dialect, provider_options=options, max_output_tokens=8)
    assert (asked.body["model"], asked.body["max_tokens"], asked.body["top_k"]) == ("m", 8, 3)
    assert not asked.body.keys() & {"stream", "n"}


@pytest.mark.parametrize(("provider", "role"), [("openai", "developer"), ("groq", "system")])
async def test_a_developer_is_a_system_where_that_role_is_unknown(provider: str, role: str) -> None:
    asked, _ = await exchange(completion(), provider=provider, messages=[{"role": "developer", "content": "x"}])
    assert asked.body["messages"] == [{"role": role, "content": "x"}]


async def test_a_schema_goes_to_openai_as_a_response_format() -> None:
    asked, _ = await exchange(completion(), output_schema=CLOSED)
    assert asked.body["response_format"]["json_schema"] == {"name": "answer", "schema": CLOSED, "strict": True}


@pytest.mark.parametrize(
    ("answer", "text", "finish", "refusal"),
    [
        (completion("hi"), "hi", "stop", None),
        (completion("hi", "length"), "hi", "length", None),
        (completion("", "content_filter"), "", "content_filter", None),
        (completion(None), "", "stop", None),
        (completion(None, refusal="No."), "", "refusal", "No."),
        (completion([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab", "stop", None),
        (
            completion(None, "tool_calls", tool_calls=[{"function": {"name": "answer", "arguments": '{"a":1}'}}]),
            '{"a":1}',
            "tool_calls",
            None,
        ),
        (
            completion(None, "tool_calls", tool_calls=[{"function": {"name": "mine", "arguments": "{}"}}]),
            '[{"function":{"name":"mine","arguments":"{}"}}]',
            "tool_calls",
            None,
        ),
        (
            completion("One moment.", "tool_calls", tool_calls=[{"function": {"name": "mine", "arguments": "{}"}}]),
            '[{"type":"text","text":"One moment."},{"function":{"name":"mine","arguments":"{}"}}]',
            "tool_calls",
            None,
        ),
    ],
)
async def test_an_openai_answer_is_read(answer: dict[str, Any], text: str, finish: str, refusal: str | None) -> None:
    _, reply = await exchange(answer)
    assert (reply.text, reply.finish, reply.refusal) == (text, finish, refusal)
    assert (reply.tokens, reply.provider_request_id) == (Tokens(31, 8), "req-9")
    assert reply.headers == {"x-ratelimit-remaining-requests": "41"}


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 9, "completion_tokens": 5}, Tokens(9, 5)),
        ({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 20}, Tokens(9, 11)),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            Tokens(9, 5, 4, 3),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Tokens(9, 5, 4)),
        ({"prompt_tokens": 9, "completion_tokens": -5, "prompt_tokens_details": None}, Tokens(9, 0)),
    ],
)
async def test_tokens_are_the_providers(usage: dict[str, Any], tokens: Tokens) -> None:
    _, reply = await exchange(completion() | {"usage": usage})
    assert reply.tokens == tokens


@pytest.mark.parametrize(("tier", "batch"), [("flex", True), ("default", False), (None, False), ([], False)])
async def test_what_was_sold_at_the_price_of_batches_says_the_answer(tier: Any, batch: bool) -> None:
    _, reply = await exchange(completion() | {"service_tier": tier})
    assert reply.batch_price is batch


@pytest.mark.parametrize("usage", [None, {}, [], {"prompt_tokens": "many", "completion_tokens": True}])
async def test_tokens_nobody_counted_are_estimated_and_marked(usage: Any) -> None:
    _, reply = await exchange(completion("twelve chars") | {"usage": usage})
    assert reply.tokens == Tokens(7, 3, estimated=True)
    _, reply = await claude(message(said("twelve chars")) | {"usage": usage})
    assert reply.tokens == Tokens(7, 3, estimated=True)


async def test_anthropic_gets_its_request() -> None:
    asked, _ = await claude(
        message(said("hi")),
        parameters={"temperature": 1.7, "max_tokens": 9, "seed": 4, "stop": ["x"], "top_p": 0.5},
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": "And kind."},
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"},
        ],
    )
    assert asked.path == "/v1/messages"
    assert asked.body == {
        "model": "m",
        "max_tokens": 9,
        "system": "Be brief.\n\nAnd kind.",
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}],
        "temperature": 1,
        "top_p": 0.5,
        "stop_sequences": ["x"],
    }
    head = asked.headers
    assert (head["x-api-key"], head["anthropic-version"], head["x-client-request-id"]) == (
        "sk-test",
        "2023-06-01",
        "call-1",
    )


async def test_content_parts_become_content_blocks() -> None:
    parts = [
        said("Look"),
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,BBBB"}},
    ]
    result = {"role": "tool", "tool_call_id": "t1", "content": [said("42")]}
    asked, _ = await claude(message(said("hi")), messages=[{"role": "user", "content": parts}, result])
    assert asked.body["messages"][0]["content"] == [
        said("Look"),
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBBB"}},
    ]
    block = {"type": "tool_result", "tool_use_id": "t1", "content": "42"}
    assert asked.body["messages"][1] == {"role": "user", "content": [block]}


async def test_a_system_text_alone_is_what_the_user_says() -> None:
    asked, _ = await claude(message(said("hi")), messages=[{"role": "system", "content": "Greet."}])
    assert asked.body["messages"] == [{"role": "user", "content": "Greet."}]


async def test_a_schema_goes_to_anthropic_as_a_format_or_a_tool() -> None:
    asked, _ = await claude(message(said("{}")), output_schema=CLOSED)
    assert asked.body["output_config"] == {"format": {"type": "json_schema", "schema": CLOSED}}
    asked, reply = await claude(
        message({"type": "tool_use", "name": "answer", "input": {"label": "é"}}, stop="tool_use"), output_schema=OPEN
    )
    assert asked.body["tool_choice"] == {"type": "tool", "name": "answer"}
    assert orjson.loads(reply.text) == {"label": "é"}


@pytest.mark.parametrize(
    ("effort", "most", "budget"), [("high", 4096, 3840), ("low", 4096, 1024), ("low", 1000, None), ("none", 4096, None)]
)
async def test_thinking_has_a_budget_below_the_limit(effort: str, most: int, budget: int | None) -> None:
    parameters = {"reasoning_effort": effort, "max_tokens": most, "temperature": 0.5}
    asked, _ = await claude(message(said("hi")), parameters=parameters, output_schema=OPEN)
    if budget is None:
        assert "thinking" not in asked.body
    else:
        assert asked.body["thinking"] == {"type": "enabled", "budget_tokens": budget}
        assert not asked.body.keys() & {"temperature", "tool_choice"}


@pytest.mark.parametrize(
    ("answer", "text", "finish"),
    [
        (message(said("a"), {"type": "thinking", "thinking": "hm"}, said("b")), "ab", "stop"),
        (message(said("a"), stop="max_tokens"), "a", "length"),
        (message(stop="stop_sequence"), "", "stop"),
        (message(said("No."), stop="refusal"), "No.", "refusal"),
        (message({"type": "tool_use", "name": "mine", "input": {}}, stop="tool_use"),
         '[{"type":"tool_use","name":"mine","input":{}}]', "tool_calls"),
    ],
)  # fmt: skip
async def test_an_anthropic_answer_is_read(answer: dict[str, Any], text: str, finish: str) -> None:
    _, reply = await claude(answer)
    assert (reply.text, reply.finish) == (text, finish)
    assert reply.tokens == Tokens(38, 8, cached_input=5, cache_write=2)
    assert (reply.refusal is not None) is (finish == "refusal")


async def test_one_session_serves_many_deployments() -> None:
    async with wire(http(completion())) as one, wire(http(completion("other"))) as two:
        model = DirectModel()
        texts = [(await model.call(call(url))).text for url in (one.url, two.url, one.url)]
        await model.close()
        await model.close()
    assert texts == ["hi", "other", "hi"]
