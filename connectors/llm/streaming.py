"""A streamed answer put together again, so that it is judged and billed like one that came whole.

Sources: OpenAI "Chat completion chunk object" and stream_options.include_usage, Anthropic "Streaming Messages".
"""

from collections.abc import AsyncIterable, Callable, Iterator, Sequence
from typing import Any, Protocol

import orjson

from domain.routing.model import Piece, ToolPiece

MAX_STREAM = 16 * 1024 * 1024


class Cut(Exception):
    """The stream ended, or grew beyond all bounds, before the answer did."""


class Gathering(Protocol):
    """Collects the events of one answer."""

    def add(self, event: dict[str, Any]) -> Sequence[Piece]:
        """What it brings, for whoever reads along."""
        ...

    def whole(self) -> dict[str, Any]:
        """The body a call without streaming would have had. Raises Cut."""
        ...


class OpenAIGathering:
    """Implements Gathering."""

    def __init__(self) -> None:
        self._body: dict[str, Any] = {}
        self._message: dict[str, Any] = {}
        self._tools: dict[int, dict[str, Any]] = {}
        self._finish: str | None = None

    def add(self, event: dict[str, Any]) -> Sequence[Piece]:
        for name in ("id", "usage", "error", "service_tier"):
            if event.get(name) is not None:
                self._body[name] = event[name]
        choices = event.get("choices") or ()
        if not choices:
            return ()
        self._finish = choices[0].get("finish_reason") or self._finish
        delta = choices[0].get("delta") or {}
        self._grow("refusal", delta.get("refusal"))
        text = self._grow("content", delta.get("content"))
        return [*text, *map(self._tool, delta.get("tool_calls") or ())]

    def whole(self) -> dict[str, Any]:
        if "error" in self._body:
            return self._body
        if self._finish is None:
            raise Cut("the stream ended before the answer")
        if self._tools:
            self._message["tool_calls"] = list(self._tools.values())
        return {**self._body, "choices": [{"message": self._message, "finish_reason": self._finish}]}

    def _grow(self, name: str, text: Any) -> Sequence[str]:
        if not isinstance(text, str) or not text:
            return ()
        self._message[name] = self._message.get(name, "") + text
        return (text,)

    def _tool(self, part: dict[str, Any]) -> ToolPiece:
        index, function = part.get("index", 0), part.get("function") or {}
        first = index not in self._tools
        call = self._tools.setdefault(index, {"type": "function", "function": {"arguments": ""}})
        if part.get("id"):
            call["id"] = part["id"]
        if function.get("name"):
            call["function"]["name"] = function["name"]
        arguments = function.get("arguments") or ""
        call["function"]["arguments"] += arguments
        # those of a provider need not begin at 0
        number = list(self._tools).index(index)
        return ToolPiece(number, arguments, *((call.get("id"), call["function"].get("name")) if first else ()))


class AnthropicGathering:
    """Implements Gathering."""

    def __init__(self) -> None:
        self._body: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}
        self._tools: list[int] = []
        self._over = False

    def add(self, event: dict[str, Any]) -> Sequence[Piece]:
        match event.get("type"):
            case "message_start":
                self._body = {**event["message"], "content": []}
            case "content_block_start":
                return list(self._started(event["index"], event["content_block"]))
            case "content_block_delta":
                return list(self._delta(event["index"], event["delta"]))
            case "message_delta":
                self._body["stop_reason"] = event["delta"].get("stop_reason")
                self._body["usage"] = {**(self._body.get("usage") or {}), **(event.get("usage") or {})}
            case "message_stop":
                self._over = True
            case "error":
                self._body["error"] = event.get("error")
        return ()

    def whole(self) -> dict[str, Any]:
        if "error" in self._body:
            return {"error": self._body["error"]}
        if not self._over:
            raise Cut("the stream ended before the answer")
        for index, text in self._inputs.items():
            self._blocks[index]["input"] = _input(text)
        return {**self._body, "content": [self._blocks[index] for index in sorted(self._blocks)]}

    def _started(self, index: int, block: dict[str, Any]) -> Iterator[Piece]:
        self._blocks[index] = dict(block)
        if block.get("type") == "tool_use":
            self._tools.append(index)
            yield ToolPiece(len(self._tools) - 1, "", block.get("id"), block.get("name"))

    def _delta(self, index: int, delta: dict[str, Any]) -> Iterator[Piece]:
        if delta.get("type") == "input_json_delta":
            part = str(delta["partial_json"])
            self._inputs[index] = self._inputs.get(index, "") + part
            if part and index in self._tools:
                yield ToolPiece(self._tools.index(index), part)
        if delta.get("type") == "text_delta" and (text := str(delta["text"])):
            block = self._blocks[index]
            block["text"] = block.get("text", "") + text
            yield text


def _input(text: str) -> Any:
    try:
        return orjson.loads(text or "{}")
    except orjson.JSONDecodeError:
        return text  # cut at its limit, or no JSON: judged like any other answer


async def gather(lines: AsyncIterable[bytes], gathering: Gathering, say: Callable[[Piece], None]) -> dict[str, Any]:
    """Read the stream to its end, saying what comes. Raises Cut."""
    size = 0
    async for line in lines:
        size += len(line)
        if size > MAX_STREAM:
            raise Cut(f"the stream is larger than {MAX_STREAM >> 20} MiB")
        data = line.removeprefix(b"data:").strip() if line.startswith(b"data:") else b""
        if not data or data == b"[DONE]":
            continue
        for piece in _added(gathering, data):
            say(piece)
    return gathering.whole()


def _added(gathering: Gathering, data: bytes) -> Sequence[Piece]:
    try:
        return gathering.add(orjson.loads(data))
    except (KeyError, TypeError, AttributeError, IndexError, orjson.JSONDecodeError) as error:
        raise Cut("an event of the stream has not the form it should have") from error
