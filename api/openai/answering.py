"""From a PromptResult to OpenAI's chat completion object and its chunks (API reference, "Chat completions")."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson

from api.analyze import outcome
from api.analyze.live import KEEP_ALIVE, Ended, Happening, Quiet
from api.openai.asking import Asked
from api.openai.said import Said
from api.problems import Problem
from api.rendering import openai_error
from domain.routing.model import ToolPiece
from topics.base import parse_time

DONE = b"data: [DONE]\n\n"
PIECE = 512
"""Characters of a chunk, of an answer that is there as a whole."""


class Answer:
    """What a result says in OpenAI's words. Raises Problem for a result that OpenAI would give an error for."""

    def __init__(self, result: bytes, asked: Asked) -> None:
        fields = orjson.loads(result)
        error = fields["error"]
        self.refusal: str | None = None
        self.text: str | None = None
        self.tool_calls: list[dict[str, Any]] = []
        self.finish = "stop"
        if fields["status"] == "completed":
            self._said(fields["output"], asked)
        elif error["code"] == "refused":
            self.refusal = error["message"]
        elif error["code"] == "invalid_output" and isinstance(fields["output"], str):
            # only a text that its limit cut is kept beside an error
            self.text, self.finish = fields["output"], "length"
        else:
            raise outcome.problem_of(fields)
        self.model = f"{fields['provider']}/{fields['model']}" if fields["provider"] else asked.model
        self.id = fields["id"]
        self.created = int(parse_time(fields["submitted_at"]).timestamp())
        self.usage = _usage(fields["usage"])

    def _said(self, output: Any, asked: Asked) -> None:
        called = _called(output, asked.tools) if asked.tools else None
        if called is not None:
            self.text, self.tool_calls = called
            self.finish = "tool_calls"
        else:
            self.text = output if isinstance(output, str) and not _structured(asked) else _json(output)

    def completion(self) -> bytes:
        """The answer as one object."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text, "refusal": self.refusal}
        if self.tool_calls:
            message["tool_calls"] = self.tool_calls
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish}
        named = {"id": self.id, "object": "chat.completion", "created": self.created, "model": self.model}
        return orjson.dumps({**named, "choices": [choice], "usage": self.usage})

    def deltas(self, said: Said) -> Iterator[dict[str, Any]]:
        """What is left to say after what was said. Raises Problem when the answer does not begin so."""
        if self.refusal is not None:
            yield {"refusal": self.refusal}
        text = self.text or ""
        rest = said.left_of(self.tool_calls)
        if not text.startswith(said.text) or rest is None:
            reason = f"the answer was begun anew by another worker; GET /v1/jobs/{self.id}/result has it whole"
            raise Problem("provider_error", reason)
        for start in range(len(said.text), len(text), PIECE):
            yield {"content": text[start : start + PIECE]}
        for call in rest:
            yield {"tool_calls": [call]}


async def chunks(id: str, created: int, asked: Asked, happenings: AsyncIterator[Happening]) -> AsyncIterator[bytes]:
    """The server-sent events of a streamed completion; an error is the last of them."""
    frame, said = Frame(id, created, asked), Said(asked.tools)
    yield frame.delta({"role": "assistant", "content": ""})
    async for happening in happenings:
        if isinstance(happening, str | ToolPiece):
            if delta := said.add(happening):
                yield frame.delta(delta)
        elif isinstance(happening, Quiet):
            yield KEEP_ALIVE
        elif isinstance(happening, Ended):
            for piece in frame.end(happening.result, said):
                yield piece


class Frame:
    """What all chunks of one completion have in common."""

    def __init__(self, id: str, created: int, asked: Asked) -> None:
        self._asked = asked
        self._named = {"id": id, "object": "chat.completion.chunk", "created": created, "model": asked.model}

    def delta(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
        return self._event({"choices": choices, **({"usage": None} if self._asked.include_usage else {})})

    def end(self, result: bytes | None, said: Said) -> Iterator[bytes]:
        """The rest of the answer, or the error that it ends with."""
        try:
            if result is None:
                raise unfinished(str(self._named["id"]))
            answer = Answer(result, self._asked)
            yield from (self.delta(delta) for delta in answer.deltas(said))
        except Problem as problem:
            yield b"data: " + orjson.dumps({"error": openai_error(problem)}) + b"\n\n"
            return
        yield self.delta({}, answer.finish)
        if self._asked.include_usage:
            yield self._event({"choices": [], "usage": answer.usage})
        yield DONE

    def _event(self, more: dict[str, Any]) -> bytes:
        return b"data: " + orjson.dumps({**self._named, **more}) + b"\n\n"


def unfinished(id: str) -> Problem:
    detail = f"request {id!r} is not finished yet; GET /v1/jobs/{id}/result has its answer later"
    return Problem("not_finished", detail)


def _structured(asked: Asked) -> bool:
    return "output_schema" in asked.fields


def _json(output: Any) -> str:
    return orjson.dumps(output).decode()


def _called(output: Any, tools: frozenset[str]) -> tuple[str | None, list[dict[str, Any]]] | None:
    """The text and the calls an answer consists of, in OpenAI's form; None where it is anything else."""
    if not isinstance(output, str) or not output.startswith("["):
        return None
    try:
        parts = orjson.loads(output)
        said = "".join(one["text"] for one in parts if one["type"] == "text")
        calls = [_tool_call(one) for one in parts if one["type"] != "text"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return (said or None, calls) if calls and all(one["function"]["name"] in tools for one in calls) else None


def _tool_call(call: dict[str, Any]) -> dict[str, Any]:
    if call["type"] == "tool_use":  # Anthropic's
        function = {"name": call["name"], "arguments": _json(call["input"])}
        return {"id": call["id"], "type": "function", "function": function}
    function = {"name": call["function"]["name"], "arguments": call["function"]["arguments"]}
    return {"id": call["id"], "type": "function", "function": function}


def _usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt_tokens": usage["input_tokens"],
        "completion_tokens": usage["output_tokens"],
        "total_tokens": usage["input_tokens"] + usage["output_tokens"],
        "prompt_tokens_details": {"cached_tokens": usage["cached_input_tokens"]},
        "completion_tokens_details": {"reasoning_tokens": usage["reasoning_tokens"]},
        "cost_usd": usage["cost_usd"],
    }
