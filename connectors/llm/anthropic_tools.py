"""Tools in OpenAI's words for a model that speaks Anthropic's ("Tool use"); Anthropic's own pass as they are."""

from collections.abc import Mapping
from typing import Any

import orjson


def options(given: Mapping[str, Any]) -> dict[str, Any]:
    """`provider_options` with its tools in Anthropic's words. `parallel_tool_calls` becomes a part of the choice."""
    if not given or not isinstance(given.get("tools"), list):
        return dict(given)
    fields = {name: value for name, value in given.items() if name != "parallel_tool_calls"}
    fields["tools"] = [_tool(tool) for tool in given["tools"]]
    choice = _choice(given.get("tool_choice"))
    if given.get("parallel_tool_calls") is False:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        fields["tool_choice"] = choice
    return fields


def tool_uses(content: Any, calls: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The blocks of an assistant's turn that calls tools."""
    said = content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)
    uses = [
        {"type": "tool_use", "id": call.get("id"), "name": call["function"]["name"], "input": _input(call["function"])}
        for call in calls
        if isinstance(call.get("function"), dict) and "name" in call["function"]
    ]
    return [*([{"type": "text", "text": said}] if said else []), *uses]


def _tool(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict):
        return tool
    named = {name: function[name] for name in ("name", "description") if name in function}
    return {**named, "input_schema": function.get("parameters") or {"type": "object"}}


def _choice(choice: Any) -> dict[str, Any] | None:
    if isinstance(choice, str):
        return {"type": {"required": "any"}.get(choice, choice)}
    if isinstance(choice, dict) and isinstance(choice.get("function"), dict):
        return {"type": "tool", "name": choice["function"].get("name")}
    return choice if isinstance(choice, dict) else None


def _input(function: dict[str, Any]) -> Any:
    try:
        return orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        return {"arguments": function["arguments"]}
