"""What of an answer was said while it was written, and what its end has to add: text and calls of tools."""

from collections.abc import Collection, Sequence
from typing import Any

import orjson

from domain.routing.model import Piece, ToolPiece


class Said:
    """Text, and the calls of those tools that were offered. Nothing follows a call of another one: what such an answer
    is, is known at its end."""

    def __init__(self, tools: Collection[str]) -> None:
        self.text = ""
        self._tools = tools
        self._ids: list[str | None] = []
        self._arguments: list[str] = []
        self._over = False

    def add(self, piece: Piece) -> dict[str, Any]:
        """The delta to send; empty where there is none."""
        if self._over:
            return {}
        if isinstance(piece, ToolPiece):
            return self._call(piece)
        self.text += piece
        return {"content": piece}

    def left_of(self, calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]] | None:
        """What the end adds to the calls that were said; None where these are others."""
        if len(self._ids) > len(calls):
            return None
        left = []
        for number, call in enumerate(calls):
            if number >= len(self._ids):
                left.append({"index": number, **call})
                continue
            rest = _rest(self._arguments[number], call["function"]["arguments"])
            if rest is None or call["id"] != self._ids[number]:
                return None
            if rest:
                left.append({"index": number, "function": {"arguments": rest}})
        return left

    def _call(self, piece: ToolPiece) -> dict[str, Any]:
        if piece.index < len(self._ids):
            self._arguments[piece.index] += piece.arguments
            return {"tool_calls": [{"index": piece.index, "function": {"arguments": piece.arguments}}]}
        if piece.name not in self._tools or piece.id is None:
            self._over = True
            return {}
        self._ids.append(piece.id)
        self._arguments.append(piece.arguments)
        function = {"name": piece.name, "arguments": piece.arguments}
        return {"tool_calls": [{"index": piece.index, "id": piece.id, "type": "function", "function": function}]}


def _rest(said: str, whole: str) -> str | None:
    """What follows. The arguments may have been written with other blanks than they are kept with."""
    if whole.startswith(said):
        return whole[len(said) :]
    try:
        return "" if orjson.loads(said) == orjson.loads(whole) else None
    except orjson.JSONDecodeError:
        return None
