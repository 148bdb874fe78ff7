"""OpenAI's dialect (API reference, "Create chat completion"), as a dozen providers speak it."""

from collections.abc import Mapping
from typing import Any

import orjson

from connectors.llm.streaming import Gathering, OpenAIGathering
from connectors.llm.tokens import count, estimate
from domain.output.dialect import ANSWER_TOOL, ask
from domain.output.schema import compile as compile_schema
from domain.routing.model import ModelCall, ModelReply, Tokens
from domain.routing.options import OURS

PATH = "/chat/completions"
_FINISHES = {"length": "length", "content_filter": "content_filter", "tool_calls": "tool_calls"}
# Gemini's own words (API reference, FinishReason) come through its OpenAI interface, alone or behind OpenAI's
_GEMINI_FILTERS = frozenset({"safety", "recitation", "blocklist", "prohibited_content", "spii", "image_safety"})
_FINISHES |= {"max_tokens": "length", **dict.fromkeys(_GEMINI_FILTERS, "content_filter")}
_BATCH_TIER = "flex"
"""The service tier whose calls are sold at the price of batches (OpenAI, "Flex processing"). Which one was used stands
in the answer, whatever the request asked for."""
_KNOW_DEVELOPER = frozenset({"openai", "azure"})


class NoAnswer(Exception):
    """The body holds no answer; the message says what is missing."""


def body(call: ModelCall) -> dict[str, Any]:
    """The request's body. `provider_options` comes last, without the fields that are ours."""
    deployment = call.deployment
    schema = None if call.output_schema is None else compile_schema(call.output_schema)
    asked = ask(deployment, schema, call.messages)
    fields = {name: value for name, value in call.parameters.items() if name not in deployment.omits}
    fields.pop("max_tokens", None)
    fields.update(model=deployment.model, messages=_roles(deployment.provider, asked.messages))
    fields[deployment.max_tokens_field] = call.parameters.get("max_tokens") or deployment.max_output_tokens
    fields.update(asked.fields)
    if call.provider_options:
        fields.update((name, value) for name, value in call.provider_options.items() if name not in OURS)
    return fields


def streamed(fields: dict[str, Any]) -> Gathering:
    """Make the body ask for a stream; what gathers it."""
    fields["stream"] = True
    fields["stream_options"] = {"include_usage": True}
    return OpenAIGathering()


def headers(api_key: str | None) -> dict[str, str]:
    return {"authorization": f"Bearer {api_key}"} if api_key else {}


def reply(call: ModelCall, data: Any, head: Mapping[str, str], request_id: str | None) -> ModelReply:
    """The reply in a body of status 200. Raises NoAnswer."""
    try:
        choice = data["choices"][0]
        finish = _finish(choice.get("finish_reason"))
        # what a filter stopped has no message with some
        message = choice.get("message", {}) if finish == "content_filter" else choice["message"]
        text, refusal = _text(message), message.get("refusal")
        tools = _calls_tools(message)
        finish = "refusal" if refusal else finish
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise NoAnswer("its body has no choices[0].message") from error
    tokens = _tokens(data.get("usage")) or estimate(call.messages, text)
    told = request_id or data.get("id")
    return ModelReply(
        text, finish, tokens, told if isinstance(told, str) else None, refusal if isinstance(refusal, str) else None,
        dict(head), tools, data.get("service_tier") == _BATCH_TIER,
    )  # fmt: skip


def _finish(reason: Any) -> str:
    """In our words: a stop where it is none that we know. Raises TypeError."""
    if not isinstance(reason, str | None):
        raise TypeError("finish_reason is no text")
    word = (reason or "").lower().partition(":")[0].strip()
    return _FINISHES.get(word, "stop")


def _roles(provider: str, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if provider in _KNOW_DEVELOPER or all(message["role"] != "developer" for message in messages):
        return messages
    return [{**message, "role": "system"} if message["role"] == "developer" else message for message in messages]


def _text(message: dict[str, Any]) -> str:
    """What was said: the content, the arguments of the answering tool, or the calls of the caller's tools as JSON, with
    the text that came with them as a part before them."""
    for tool_call in message.get("tool_calls") or ():
        if tool_call["function"]["name"] == ANSWER_TOOL:
            return str(tool_call["function"]["arguments"])
    content = message.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    if not isinstance(content, str | None):
        raise TypeError("content is neither text nor parts")
    if _calls_tools(message):
        return orjson.dumps([*text_part(content), *message["tool_calls"]]).decode()
    return content or ""


def text_part(text: str | None) -> list[dict[str, str]]:
    """The text beside calls of tools, as a content part; none where there is none."""
    return [{"type": "text", "text": text}] if text else []


def _calls_tools(message: dict[str, Any]) -> bool:
    """Whether tools of the caller's are called."""
    calls = message.get("tool_calls") or ()
    return bool(calls) and all(call["function"]["name"] != ANSWER_TOOL for call in calls)


def _tokens(usage: Any) -> Tokens | None:
    if not isinstance(usage, dict) or count(usage, "prompt_tokens") + count(usage, "completion_tokens") == 0:
        return None
    read = count(usage, "prompt_tokens")
    # some providers count reasoning in the total only
    written = max(count(usage, "completion_tokens"), count(usage, "total_tokens") - read)
    return Tokens(
        read,
        written,
        count(usage.get("prompt_tokens_details"), "cached_tokens") or count(usage, "prompt_cache_hit_tokens"),
        count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )
