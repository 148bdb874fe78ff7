"""Answers in OpenAI's dialect (API reference: chat completion object, chat completion chunk object)."""

from typing import Any

import orjson

from ops.local.provider.calls import Call
from ops.local.provider.engine import output_tokens
from ops.local.provider.malformed import Answer

_CHUNK = 24


def body(call: Call, given: Answer, identifier: str, created: int) -> bytes:
    """The chat completion object."""
    reply = {
        "id": f"chatcmpl-{identifier}",
        "object": "chat.completion",
        "created": created,
        "model": call.model,
        "choices": [
            {"index": 0, "message": _message(call, given), "logprobs": None, "finish_reason": _finish(call, given)}
        ],
        "system_fingerprint": "fp_simulated",
    }
    if given.usage:
        reply["usage"] = _usage(call, given)
    return orjson.dumps(reply)


def stream(call: Call, given: Answer, identifier: str, created: int) -> list[bytes]:
    """The server-sent events of a streamed completion, `[DONE]` last."""
    common = {
        "id": f"chatcmpl-{identifier}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": call.model,
        "system_fingerprint": "fp_simulated",
    }
    deltas = [{"role": "assistant", "content": ""}, *_deltas(call, given)]
    events = [_event(common, [_choice(delta, None)], call) for delta in deltas]
    events.append(_event(common, [_choice({}, _finish(call, given))], call))
    if call.include_usage and given.usage:
        events.append(b"data: " + orjson.dumps({**common, "choices": [], "usage": _usage(call, given)}) + b"\n\n")
    return [*events, b"data: [DONE]\n\n"]


def error(message: str, kind: str, code: str | None) -> bytes:
    """The error object."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


def _message(call: Call, given: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": given.content, "refusal": None, "annotations": []}
    if given.finish == "refusal":
        return {**message, "content": None, "refusal": given.content}
    if call.tool is not None and given.content is not None:
        return {**message, "content": None, "tool_calls": [_tool_call(call, given.content)]}
    return message


def _tool_call(call: Call, arguments: str) -> dict[str, Any]:
    return {"id": "call_simulated", "type": "function", "function": {"name": call.tool, "arguments": arguments}}


def _finish(call: Call, given: Answer) -> str:
    if given.finish == "length":
        return "length"
    return "tool_calls" if call.tool is not None and given.finish == "stop" else "stop"


def _usage(call: Call, given: Answer) -> dict[str, Any]:
    output = output_tokens(given)
    return {
        "prompt_tokens": call.input_tokens,
        "completion_tokens": output,
        "total_tokens": call.input_tokens + output,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _deltas(call: Call, given: Answer) -> list[dict[str, Any]]:
    pieces = chunks(given.content)
    if given.finish == "refusal":
        return [{"refusal": piece} for piece in pieces]
    if call.tool is None:
        return [{"content": piece} for piece in pieces]
    first = {"index": 0, **_tool_call(call, "")}
    rest = [{"index": 0, "function": {"arguments": piece}} for piece in pieces]
    return [{"tool_calls": [part]} for part in (first, *rest)]


def chunks(content: str | None) -> list[str]:
    """The content in the pieces in which it is streamed."""
    said = content or ""
    return [said[start : start + _CHUNK] for start in range(0, len(said), _CHUNK)]


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}


def _event(common: dict[str, Any], choices: list[dict[str, Any]], call: Call) -> bytes:
    chunk = {**common, "choices": choices}
    if call.include_usage:
        chunk["usage"] = None
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
