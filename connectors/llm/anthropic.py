"""Anthropic's dialect (API reference, "Messages"; "Structured outputs"; "Extended thinking")."""

from collections.abc import Mapping
from typing import Any

import orjson

from connectors.llm.anthropic_tools import options, tool_uses
from connectors.llm.openai import NoAnswer, text_part
from connectors.llm.streaming import AnthropicGathering, Gathering
from connectors.llm.tokens import count, estimate
from domain.output.dialect import ANSWER_TOOL, ask
from domain.output.schema import compile as compile_schema
from domain.routing.model import ModelCall, ModelReply, Tokens
from domain.routing.options import OURS

PATH = "/messages"
VERSION = "2023-06-01"
_FINISHES = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
}
_THINKING = {"low": 1024, "medium": 4096, "high": 16_384}
_LEAST_THINKING = 1024


def body(call: ModelCall) -> dict[str, Any]:
    """The request's body; OpenAI's messages and parameters in Anthropic's words, `seed` has none."""
    deployment = call.deployment
    most = call.parameters.get("max_tokens") or deployment.max_output_tokens
    thinking = _thinking(call.parameters.get("reasoning_effort"), most)
    schema = None if call.output_schema is None else compile_schema(call.output_schema)
    free = thinking is None and not call.provider_options.keys() & {"tools", "tool_choice", "thinking"}
    asked = ask(deployment, schema, call.messages, free_tools=free)
    fields: dict[str, Any] = {"model": deployment.model, "max_tokens": most, **_said(asked.messages)}
    if thinking is not None:
        fields["thinking"] = thinking
    else:
        fields.update(_sampling(call.parameters, deployment.omits))
    if call.parameters.get("stop"):
        fields["stop_sequences"] = call.parameters["stop"]
    fields.update(asked.fields)
    fields.update((name, value) for name, value in options(call.provider_options).items() if name not in OURS)
    return fields


def streamed(fields: dict[str, Any]) -> Gathering:
    """Make the body ask for a stream; what gathers it."""
    fields["stream"] = True
    return AnthropicGathering()


def headers(api_key: str | None) -> dict[str, str]:
    return {"anthropic-version": VERSION, **({"x-api-key": api_key} if api_key else {})}


def reply(call: ModelCall, data: Any, head: Mapping[str, str], request_id: str | None) -> ModelReply:
    """The reply in a body of status 200. Raises NoAnswer."""
    try:
        text, tools = _text(data["content"]), _calls_tools(data["content"])
        finish = _FINISHES.get(data.get("stop_reason"), "stop")
    except (KeyError, TypeError, AttributeError) as error:
        raise NoAnswer("its body has no content blocks") from error
    tokens = _tokens(data.get("usage")) or estimate(call.messages, text)
    told = request_id or data.get("id")
    refusal = (text or "the model refused to answer") if finish == "refusal" else None
    return ModelReply(text, finish, tokens, told if isinstance(told, str) else None, refusal, dict(head), tools)


def _sampling(parameters: dict[str, Any], omits: tuple[str, ...]) -> dict[str, Any]:
    names = [name for name in ("temperature", "top_p") if name in parameters and name not in omits]
    fields: dict[str, Any] = {name: parameters[name] for name in names}
    if "temperature" in fields:
        fields["temperature"] = min(fields["temperature"], 1)
    return fields


def _thinking(effort: str | None, most: int) -> dict[str, Any] | None:
    """A budget below max_tokens; where there is no room for the least one, or none is wanted, no thinking."""
    budget = min(_THINKING.get(effort or "", 0), most - 256)
    return {"type": "enabled", "budget_tokens": budget} if budget >= _LEAST_THINKING else None


def _said(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The system text apart, the turns in Anthropic's content blocks."""
    system = [_plain(message["content"]) for message in messages if message["role"] in ("system", "developer")]
    turns = [_turn(message) for message in messages if message["role"] not in ("system", "developer")]
    if not turns:
        return {"messages": [{"role": "user", "content": "\n\n".join(system)}]}
    return {"system": "\n\n".join(system), "messages": turns} if system else {"messages": turns}


def _turn(message: dict[str, Any]) -> dict[str, Any]:
    if message["role"] == "tool":
        block = {
            "type": "tool_result",
            "tool_use_id": message.get("tool_call_id"),
            "content": _plain(message["content"]),
        }
        return {"role": "user", "content": [block]}
    content = message["content"]
    if message.get("tool_calls"):
        return {"role": "assistant", "content": tool_uses(content, message["tool_calls"])}
    return {"role": message["role"], "content": content if isinstance(content, str) else [_block(p) for p in content]}


def _plain(content: Any) -> str:
    return content if isinstance(content, str) else "\n".join(str(part.get("text", "")) for part in content)


def _block(part: dict[str, Any]) -> dict[str, Any]:
    """An OpenAI content part as a content block; what is no part of OpenAI's passes as it is."""
    if part.get("type") == "image_url" and isinstance(part.get("image_url"), dict):
        return {"type": "image", "source": _source(str(part["image_url"].get("url", "")))}
    if part.get("type") == "file" and isinstance(part.get("file"), dict):
        return {"type": "document", "source": _source(str(part["file"].get("file_data", "")))}
    return part


def _source(url: str) -> dict[str, str]:
    """`data:<media type>;base64,<data>` or an address."""
    if not url.startswith("data:"):
        return {"type": "url", "url": url}
    head, _, data = url.partition(",")
    return {"type": "base64", "media_type": head.removeprefix("data:").removesuffix(";base64"), "data": data}


def _text(blocks: list[dict[str, Any]]) -> str:
    """The input of the answering tool, the text, or the calls of the caller's tools as JSON, the text before them."""
    tools = [block for block in blocks if block["type"] == "tool_use"]
    for block in tools:
        if block["name"] == ANSWER_TOOL:
            return orjson.dumps(block["input"]).decode()
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    return orjson.dumps([*text_part(text), *tools]).decode() if tools else text


def _calls_tools(blocks: list[dict[str, Any]]) -> bool:
    """Whether tools of the caller's are called."""
    names = [block["name"] for block in blocks if block["type"] == "tool_use"]
    return bool(names) and ANSWER_TOOL not in names


def _tokens(usage: Any) -> Tokens | None:
    """Anthropic counts cached input apart from input_tokens; here it is a part of it."""
    if not isinstance(usage, dict) or count(usage, "input_tokens") + count(usage, "output_tokens") == 0:
        return None
    cached, written = count(usage, "cache_read_input_tokens"), count(usage, "cache_creation_input_tokens")
    read = count(usage, "input_tokens") + cached + written
    return Tokens(read, count(usage, "output_tokens"), cached_input=cached, cache_write=written)
