"""Gemini through its OpenAI interface, in shapes as its documentation and its users' reports give them.

Nothing here was recorded from a real call of ours: no key was at hand. Sources: Gemini API "OpenAI compatibility",
API reference (FinishReason, responseJsonSchema), "Troubleshooting", and errors quoted in public issue trackers.
"""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from connectors.llm import failures, openai
from connectors.llm.direct import DirectModel
from domain.errors import ModelError
from domain.output.dialect import ask
from domain.output.lint import lint
from domain.output.schema import compile as compile_schema
from domain.pacing.told import told
from domain.routing.model import Deployment
from tests.llm.wire import PRICE, call, completion, http, wire

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
BASE = "https://generativelanguage.googleapis.com/v1beta/openai"
GEMINI = Deployment("gemini/m", "gemini", "gemini-2.5-flash", "openai", BASE, PRICE, api_key="k", omits=("seed",))
ASKED = [{"role": "user", "content": "How do I feel?"}]
RPC = "type.googleapis.com/google.rpc."
HEADERS = {"content-type": "application/json; charset=UTF-8", "server": "scaffolding on HTTPServer2"}


def quota(delay: str | None) -> dict[str, Any]:
    violation = {"quotaId": "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "quotaValue": "10"}
    details: list[dict[str, Any]] = [{"@type": f"{RPC}QuotaFailure", "violations": [violation]}]
    if delay is not None:
        details.append({"@type": f"{RPC}RetryInfo", "retryDelay": delay})
    message = "You exceeded your current quota, please check your plan.\nPlease retry in 34.074s."
    return {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}


def failed(status: int, error: dict[str, Any], **headers: str) -> ModelError:
    return failures.of_status(GEMINI, status, {**HEADERS, **headers}, error, NOW)


@pytest.mark.parametrize(
    ("delay", "seconds"), [("34.074s", 34.074), ("46s", 46.0), (None, None), ("soon", None), ("-1s", None)]
)
def test_a_limit_says_in_the_body_when_to_come_again(delay: str | None, seconds: float | None) -> None:
    error = failed(429, quota(delay))
    assert (error.outcome, error.retryable, error.elsewhere) == ("rate_limited", True, True)
    assert error.retry_after == seconds
    assert "You exceeded your current quota" in str(error)


async def test_an_error_comes_wrapped_in_a_list() -> None:
    body = orjson.dumps([{"error": quota("34s")}])
    async with wire(http(body, "429 Too Many Requests")) as provider:
        model = DirectModel(lambda: NOW)
        with pytest.raises(ModelError) as caught:
            await model.call(call(provider.url))
        await model.close()
    assert (caught.value.retry_after, "You exceeded your current quota" in str(caught.value)) == (34.0, True)


def test_a_header_says_it_better() -> None:
    assert failed(429, quota("34s"), **{"retry-after": "7"}).retry_after == 7.0


def test_no_header_names_a_limit() -> None:
    assert told(HEADERS, NOW) is None


def test_a_refused_key_has_status_400_and_another_deployment_is_asked() -> None:
    info = {"@type": f"{RPC}ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    error = {"code": 400, "message": "API key not valid.", "status": "INVALID_ARGUMENT", "details": [info]}
    found = failed(400, error)
    assert (found.retryable, found.elsewhere) == (False, True)
    assert "the operator must check it" in str(found)


def test_a_field_it_does_not_know_is_told_and_not_tried_again() -> None:
    message = 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'
    found = failed(400, {"code": 400, "message": message, "status": "INVALID_ARGUMENT"})
    assert (found.retryable, found.elsewhere, message in str(found)) == (False, False, True)


@pytest.mark.parametrize(
    ("said", "finish"),
    [
        ("stop", "stop"), ("length", "length"), ("MAX_TOKENS", "length"), ("tool_calls", "tool_calls"),
        ("content_filter", "content_filter"), ("content_filter: PROHIBITED_CONTENT", "content_filter"),
        ("SAFETY", "content_filter"), ("RECITATION", "content_filter"), ("IMAGE_SAFETY", "content_filter"),
        ("OTHER", "stop"), (None, "stop"),
    ],
)  # fmt: skip
def test_how_an_answer_ended(said: Any, finish: str) -> None:
    assert openai.reply(call(BASE), completion(finish=said), {}, None).finish == finish


def test_an_answer_that_a_filter_stopped_may_have_no_message() -> None:
    data = {"choices": [{"index": 0, "finish_reason": "content_filter: SAFETY"}], "usage": {"prompt_tokens": 9}}
    found = openai.reply(call(BASE), data, {}, None)
    assert (found.finish, found.text, found.tokens.input) == ("content_filter", "", 9)


def test_thoughts_that_used_up_the_limit_leave_no_content() -> None:
    data = completion(finish="length")
    del data["choices"][0]["message"]["content"]
    data["usage"] = {"prompt_tokens": 20, "completion_tokens": 0, "total_tokens": 276}
    found = openai.reply(call(BASE), data, {}, None)
    # thoughts are in the total only, and billed as output
    assert (found.finish, found.text, found.tokens.input, found.tokens.output) == ("length", "", 20, 256)


def form(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = ask(GEMINI, compile_schema(schema), ASKED).fields["response_format"]
    return found


def test_a_schema_goes_in_the_words_that_it_takes() -> None:
    text = {"type": "string", "pattern": "^a", "maxLength": 9}
    kinds = {"kind": {"const": "a"}, "n": {"type": "integer", "minimum": 1, "exclusiveMaximum": 9}, "text": text}
    schema = form({"type": "object", "properties": kinds, "required": ["kind"]})["json_schema"]["schema"]
    assert schema["properties"] == {
        "kind": {"enum": ["a"]},
        "n": {"type": "integer", "minimum": 1, "description": "(exclusiveMaximum: 9)"},
        "text": {"type": "string", "description": "(maxLength: 9, pattern: ^a)"},
    }


def test_formats_that_it_does_not_know_are_told() -> None:
    texts = {"at": {"type": "string", "format": "date-time"}, "to": {"type": "string", "format": "email"}}
    schema = form({"type": "object", "properties": texts})["json_schema"]["schema"]
    to = {"type": "string", "description": "(format: email)"}
    assert schema["properties"] == {"at": {"type": "string", "format": "date-time"}, "to": to}


@pytest.mark.parametrize(
    "part",
    [{"oneOf": [{"type": "null"}]}, {"allOf": [{"type": "null"}]}, {"not": {"type": "null"}}, {"$ref": "#"}],
    ids=["oneOf", "allOf", "not", "recursive"],
)
def test_a_schema_with_words_it_would_refuse_is_json_and_an_instruction(part: dict[str, Any]) -> None:
    schema = {"type": "object", "properties": {"x": part}}
    asked = ask(GEMINI, compile_schema(schema), ASKED)
    assert asked.fields == {"response_format": {"type": "json_object"}}
    assert asked.messages[0]["role"] == "system"


def test_the_lint_says_what_it_will_ignore() -> None:
    schema = compile_schema(
        {"type": "object", "properties": {"n": {"type": "integer", "multipleOf": 2}, "to": {"type": "string"}}}
    )
    assert [(one.path, one.message) for one in lint(schema, GEMINI)] == [
        ("/properties/n/multipleOf", "is told to the model, not enforced")
    ]
