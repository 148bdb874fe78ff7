"""The simulated provider over HTTP, as its callers and the tests that steer it see it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import jsonschema_rs
import orjson
import pytest

from ops.local.provider.malformed import KINDS
from ops.local.provider.server import Provider

SCHEMA = {
    "type": "object",
    "properties": {
        "label": {"enum": ["positive", "negative", "neutral"]},
        "confidence": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "required": ["label", "confidence"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "json_schema": {"name": "sentiment", "strict": True, "schema": SCHEMA}}
GOOD = "<text>I love it, it works perfectly.</text>"


class Client:
    """Speaks to one provider."""

    def __init__(self, session: aiohttp.ClientSession, provider: Provider) -> None:
        self.session = session
        self.provider = provider

    async def control(self, **settings: Any) -> int:
        async with self.session.post("/control", json=settings) as response:
            return response.status

    async def counters(self) -> dict[str, Any]:
        async with self.session.get("/control") as response:
            return orjson.loads(await response.read())

    async def ask(self, prompt: str = GOOD, request_id: str = "r1", **more: Any) -> tuple[int, Any, Any]:
        """Status, headers and body (decoded where it is JSON)."""
        body = {"model": "m", "messages": [{"role": "user", "content": prompt}], "response_format": FORMAT, **more}
        headers = {"X-Client-Request-Id": request_id}
        async with self.session.post("/v1/chat/completions", json=body, headers=headers) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            return response.status, response.headers, orjson.loads(raw) if is_json else raw


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    provider = Provider()
    port = await provider.serve("127.0.0.1", 0)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield Client(session, provider)
    await provider.close()


def content(body: Any) -> Any:
    return body["choices"][0]["message"]["content"]


async def test_an_openai_call_is_answered_by_its_schema_with_usage(client: Client) -> None:
    status, headers, body = await client.ask()
    assert (status, orjson.loads(content(body))["label"]) == (200, "positive")
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"] > 0
    assert headers["x-request-id"].startswith("req_")


async def test_a_streamed_completion_ends_with_usage_and_done(client: Client) -> None:
    _, _, whole = await client.ask()
    _, _, raw = await client.ask(stream=True, stream_options={"include_usage": True})
    events = raw.decode().strip().split("\n\n")
    chunks = [orjson.loads(event.removeprefix("data: ")) for event in events[:-1]]
    text = "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks if chunk["choices"])
    assert events[-1] == "data: [DONE]"
    assert text == content(whole)
    assert chunks[-1]["usage"] == whole["usage"]


async def test_a_forced_tool_is_called_with_valid_arguments(client: Client) -> None:
    tool = {"type": "function", "function": {"name": "label", "parameters": SCHEMA}}
    choice = {"type": "function", "function": {"name": "label"}}
    _, _, body = await client.ask(response_format=None, tools=[tool], tool_choice=choice)
    called = body["choices"][0]["message"]["tool_calls"][0]["function"]
    assert called["name"] == "label"
    jsonschema_rs.validate(SCHEMA, orjson.loads(called["arguments"]))


@pytest.mark.parametrize(
    "form",
    [
        {"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
        {"tools": [{"name": "label", "input_schema": SCHEMA}], "tool_choice": {"type": "tool", "name": "label"}},
    ],
)
async def test_an_anthropic_call_is_answered_by_its_schema(client: Client, form: dict[str, Any]) -> None:
    sent = {"model": "m", "max_tokens": 99, "system": "Judge.", "messages": [{"role": "user", "content": GOOD}], **form}
    async with client.session.post("/v1/messages", json=sent) as response:
        body = orjson.loads(await response.read())
    block = body["content"][0]
    answer = block["input"] if block["type"] == "tool_use" else orjson.loads(block["text"])
    jsonschema_rs.validate(SCHEMA, answer)
    assert body["stop_reason"] == ("tool_use" if block["type"] == "tool_use" else "end_turn")
    assert body["usage"]["input_tokens"] > 0


async def test_an_anthropic_stream_carries_the_text_and_the_usage(client: Client) -> None:
    sent = {"model": "m", "max_tokens": 99, "stream": True, "messages": [{"role": "user", "content": "Hello you"}]}
    async with client.session.post("/v1/messages", json=sent) as response:
        events = (await response.read()).decode().strip().split("\n\n")
    data = [orjson.loads(event.partition("data: ")[2]) for event in events]
    assert [data[0]["type"], data[-1]["type"]] == ["message_start", "message_stop"]
    assert "".join(one["delta"]["text"] for one in data if one["type"] == "content_block_delta")
    assert data[-2]["usage"]["output_tokens"] > 0


async def test_a_small_max_tokens_ends_with_length(client: Client) -> None:
    _, _, body = await client.ask(max_tokens=2)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 2


async def test_similar_texts_have_near_embeddings(client: Client) -> None:
    texts = ["where is my parcel", "where is my parcel now", "the lamp is grey"]
    async with client.session.post("/v1/embeddings", json={"model": "e", "input": texts}) as response:
        first, second, third = (one["embedding"] for one in orjson.loads(await response.read())["data"])
    near, far = (sum(a * b for a, b in zip(first, other, strict=True)) for other in (second, third))
    assert near > 0.8
    assert far < 0.4


@pytest.mark.parametrize("body", [b"no", b"[]", b"{}", b'{"model":"m","messages":[]}'])
async def test_a_body_that_is_no_call_gets_400_and_is_counted(client: Client, body: bytes) -> None:
    async with client.session.post("/v1/chat/completions", data=body) as response:
        assert response.status == 400
        assert orjson.loads(await response.read())["error"]["message"]
    counters = await client.counters()
    assert (counters["calls"], counters["failed"]) == (1, 1)


def _shows(kind: str, status: int, body: Any) -> bool:
    """Whether a whole reply is malformed in the way it was asked to be."""
    if kind == "not_json_body":
        return isinstance(body, bytes) and status == 200
    message, finish = body["choices"][0]["message"], body["choices"][0]["finish_reason"]
    special = {
        "missing_usage": "usage" not in body,
        "refusal": message["content"] is None and bool(message["refusal"]),
        "null_content": message["content"] is None and message["refusal"] is None,
        "length": finish == "length",
    }
    return special[kind] if kind in special else not _valid(message["content"])


def _valid(text: str) -> bool:
    try:
        return jsonschema_rs.is_valid(SCHEMA, orjson.loads(text))
    except orjson.JSONDecodeError:
        return False


@pytest.mark.parametrize("kind", KINDS)
async def test_each_malformed_kind_shows_until_it_is_reasked(client: Client, kind: str) -> None:
    prompt = f"[[simulate: {kind}]] {GOOD}"
    if kind in ("wrong_content_length", "cut_stream"):
        with pytest.raises(aiohttp.ClientPayloadError):
            await client.ask(prompt)
    else:
        status, _, body = await client.ask(prompt)
        assert _shows(kind, status, body)
    turns = [("user", prompt), ("assistant", "?"), ("user", "That is not valid JSON of the schema. Correct it.")]
    _, _, body = await client.ask(messages=[{"role": role, "content": text} for role, text in turns])
    assert _valid(content(body))
    assert "usage" in body
    assert orjson.loads(content(body))["label"] == "positive"


async def test_a_body_broken_on_the_wire_is_whole_when_called_again(client: Client) -> None:
    with pytest.raises(aiohttp.ClientPayloadError):
        await client.ask(f"[[simulate: cut_stream]] {GOOD}")
    _, _, body = await client.ask(f"[[simulate: cut_stream]] {GOOD}")
    assert _valid(content(body))


async def test_an_unknown_kind_is_named(client: Client) -> None:
    status, _, body = await client.ask("[[simulate: nonsense]] hello")
    assert status == 400
    assert "nonsense" in body["error"]["message"]


async def test_the_share_of_malformed_answers_is_kept_and_fixed_by_the_request(client: Client) -> None:
    await client.control(malformed={"share": 0.3, "kinds": ["prose"], "until_reasked": False})
    runs = []
    for _ in range(2):
        answers = [await client.ask(request_id=f"r{number}") for number in range(200)]
        runs.append([_valid(content(body)) for _, _, body in answers])
    assert runs[0] == runs[1]
    assert 0.2 < 1 - sum(runs[0]) / 200 < 0.4


async def test_every_call_that_arrives_is_counted_by_its_request(client: Client) -> None:
    for request_id in ("a", "a", "b"):
        await client.ask(request_id=request_id)
    counters = await client.counters()
    assert counters["calls_by_request"] == {"a": 2, "b": 1}
    assert (counters["calls"], counters["ok"], counters["output_tokens"] > 0) == (3, 3, True)
    await client.session.delete("/control")
    assert (await client.counters())["calls"] == 0


async def test_a_rate_limit_answers_429_with_the_headers_of_a_real_provider(client: Client) -> None:
    await client.control(requests_per_second=2)
    replies = [await client.ask(request_id=str(number)) for number in range(3)]
    assert [status for status, _, _ in replies] == [200, 200, 429]
    headers = replies[2][1]
    assert headers["retry-after"] == "1"
    assert headers["x-ratelimit-limit-requests"] == "2"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"].endswith("s")
    assert (await client.counters())["rate_limited"] == 1


@pytest.mark.parametrize(("tells", "named"), [("retry_after", {"retry-after", "retry-after-ms"}), ("nothing", set())])
async def test_a_provider_may_tell_less_of_its_limits(client: Client, tells: str, named: set[str]) -> None:
    await client.control(requests_per_second=1, tells=tells)
    replies = [await client.ask(request_id=str(number)) for number in range(2)]
    assert [status for status, _, _ in replies] == [200, 429]
    said = {name.lower() for _, headers, _ in replies for name in headers}
    assert {name for name in said if "ratelimit" in name or "retry-after" in name} == named


async def test_a_token_limit_answers_429(client: Client) -> None:
    await client.control(tokens_per_minute=40)
    replies = [await client.ask(request_id=str(number)) for number in range(3)]
    assert replies[-1][0] == 429
    assert replies[-1][1]["x-ratelimit-limit-tokens"] == "40"


async def test_failures_are_as_told_and_only_for_the_model_they_are_told_for(client: Client) -> None:
    await client.control(model="m", failure="error_500")
    assert (await client.ask())[0] == 500
    assert (await client.ask(model="other"))[0] == 200
    await client.control(model="m", failure="rate_limited")
    assert (await client.ask())[0] == 429
    await client.control(failure="none")
    assert (await client.ask())[0] == 200


async def test_a_refused_connection_is_reset_and_control_still_answers(client: Client) -> None:
    await client.control(failure="refuse_connection")
    with pytest.raises(aiohttp.ClientConnectionError):
        await client.ask()
    assert (await client.counters())["failed"] == 1


async def test_a_hanging_call_ends_when_the_provider_starts_over(client: Client) -> None:
    await client.control(failure="hang")
    call = asyncio.create_task(client.ask())
    while (await client.counters())["calls"] == 0:
        await asyncio.sleep(0)
    assert not call.done()
    await client.session.delete("/control")
    with pytest.raises(aiohttp.ClientConnectionError):
        await call


async def test_latency_is_waited(client: Client) -> None:
    await client.control(latency_ms={"mean": 30, "jitter": 10})
    started = asyncio.get_running_loop().time()
    await client.ask()
    assert asyncio.get_running_loop().time() - started >= 0.019


@pytest.mark.parametrize(
    "change",
    [
        {"latencyms": 4},
        {"failure": "sometimes"},
        {"tells": "lies"},
        {"malformed": {"kinds": ["nonsense"]}},
        {"malformed": {"share": 2}},
        {"requests_per_second": -1},
        {"latency_ms": {"median": 3}},
    ],
)
async def test_a_control_that_is_not_understood_changes_nothing(client: Client, change: dict[str, Any]) -> None:
    assert await client.control(**change) == 400
    assert (await client.ask())[0] == 200


async def test_what_a_control_does_not_name_stays(client: Client) -> None:
    await client.control(malformed={"share": 1, "kinds": ["prose"]})
    await client.control(requests_per_second=100)
    assert content((await client.ask())[2]).startswith("Sure!")
    await client.control(malformed={"share": 0})
    assert _valid(content((await client.ask())[2]))


@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/v1/models", 200), ("/nothing", 404)])
async def test_other_routes(client: Client, path: str, status: int) -> None:
    async with client.session.get(path) as response:
        assert response.status == status
