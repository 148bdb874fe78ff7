"""Answers in Anthropic's dialect (API reference: Messages, Streaming messages, Errors)."""

from typing import Any

import orjson

from ops.local.provider.calls import Call
from ops.local.provider.engine import output_tokens
from ops.local.provider.malformed import Answer
from ops.local.provider.openai import chunks

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}


def body(call: Call, given: Answer, identifier: str) -> bytes:
    """The message object."""
    return orjson.dumps(_message(call, given, identifier, [_block(call, given)] if given.content is not None else []))


def stream(call: Call, given: Answer, identifier: str) -> list[bytes]:
    """The server-sent events of a streamed message."""
    opening = {**_message(call, given, identifier, []), "stop_reason": None}
    events = [_event("message_start", {"message": opening})]
    if given.content is not None:
        block = _block(call, given)
        as_tool = block["type"] == "tool_use"
        empty = {**block, "input": {}} if as_tool else {**block, "text": ""}
        events.append(_event("content_block_start", {"index": 0, "content_block": empty}))
        kind, key = ("input_json_delta", "partial_json") if as_tool else ("text_delta", "text")
        deltas = [{"type": kind, key: piece} for piece in chunks(given.content)]
        events += [_event("content_block_delta", {"index": 0, "delta": delta}) for delta in deltas]
        events.append(_event("content_block_stop", {"index": 0}))
    ending: dict[str, Any] = {"delta": {"stop_reason": _stop_reason(call, given), "stop_sequence": None}}
    if given.usage:
        ending["usage"] = {"output_tokens": output_tokens(given)}
    return [*events, _event("message_delta", ending), _event("message_stop", {})]


def error(message: str, kind: str) -> bytes:
    """The error object."""
    return orjson.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": None})


def _message(call: Call, given: Answer, identifier: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    message: dict[str, Any] = {
        "id": f"msg_{identifier}",
        "type": "message",
        "role": "assistant",
        "model": call.model,
        "content": content,
        "stop_reason": _stop_reason(call, given),
        "stop_sequence": None,
    }
    if given.usage:
        message["usage"] = {
            "input_tokens": call.input_tokens,
            "output_tokens": output_tokens(given),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        }
    return message


def _block(call: Call, given: Answer) -> dict[str, Any]:
    """The answer as the input of the forced tool, or as text where it is none or cannot be read as JSON."""
    arguments = _object(given.content) if call.tool is not None and given.finish != "refusal" else None
    if arguments is None:
        return {"type": "text", "text": given.content}
    return {"type": "tool_use", "id": "toolu_simulated", "name": call.tool, "input": arguments}


def _object(content: str | None) -> Any:
    try:
        return orjson.loads(content or "")
    except orjson.JSONDecodeError:
        return None


def _stop_reason(call: Call, given: Answer) -> str:
    if given.finish == "stop" and given.content is not None and _block(call, given)["type"] == "tool_use":
        return "tool_use"
    return _STOP_REASONS[given.finish]


def _event(name: str, data: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps({"type": name, **data}))
