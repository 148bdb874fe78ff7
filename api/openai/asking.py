"""From the body of OpenAI's `chat.completions.create` to our own request.

What changes what is called or paid has a field of ours; everything else OpenAI's clients may send (tools, penalties,
log probabilities, what is new next month) goes to the provider as it is, as `provider_options`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.problems import Problem
from domain.errors import Problem as Reason
from domain.routing.catalogue import Catalogue

OWN = "structured_prompt"
OWN_FIELDS = frozenset(
    {"id", "lane", "deadline", "max_cost_usd", "cache", "on_limit", "on_unknown_outcome", "repair", "rerun"}
    | {"subject", "tags", "metadata", "callback_url"}
)
"""What the object `structured_prompt` of a body may hold: OpenAI has no word for it."""
_PARAMETERS = ("temperature", "top_p", "seed", "reasoning_effort")
_TAKEN = frozenset(
    {"model", "messages", "max_tokens", "max_completion_tokens", "stop", "n", "stream", "stream_options", "user"}
    | {"metadata", "response_format", "functions", "function_call", OWN, *_PARAMETERS}
)
_ECHOED = frozenset({"refusal", "annotations", "audio", "function_call", "reasoning_content"})
"""Fields of an answer that clients send back with it as a turn; they say nothing to a model."""


@dataclass(frozen=True, slots=True)
class Asked:
    """`fields` is our request. `tools`: the names of the functions the model may call."""

    fields: dict[str, Any]
    model: str
    tools: frozenset[str]
    stream: bool
    include_usage: bool


def asked(body: Mapping[str, Any], catalogue: Catalogue) -> Asked:
    """Raises Problem("invalid_request") for what cannot be kept."""
    _refuse(body)
    given = {name: value for name, value in body.items() if value is not None}
    fields: dict[str, Any] = {
        "model": full_name(given.get("model"), catalogue),
        "messages": _messages(given.get("messages")),
        "parameters": _parameters(given),
        "provider_options": {name: value for name, value in given.items() if name not in _TAKEN},
        **_format(given.get("response_format")),
        **_named(given, "user", "subject"),
        **_named(given, "metadata", "metadata"),
        **_own(given.get(OWN, {})),
    }
    options = given.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage") is True
    return Asked(fields, str(given.get("model", "")), _tools(given), given.get("stream") is True, usage)


def _refuse(body: Mapping[str, Any]) -> None:
    if body.get("n") not in (None, 1):
        raise _invalid("/n", "only one choice is given; send one request for each answer")
    for name in ("functions", "function_call"):
        if body.get(name) is not None:
            raise _invalid(f"/{name}", "is not supported; use tools and tool_choice")


def full_name(name: Any, catalogue: Catalogue) -> Any:
    """A bare name, as OpenAI's clients use it, means the catalogue's first model of that name."""
    if not isinstance(name, str) or "/" in name or name in catalogue.aliases:
        return name
    return next((one.name for one in catalogue.deployments if one.model == name), name)


def _messages(messages: Any) -> Any:
    if not isinstance(messages, list):
        return messages
    return [_message(message) if isinstance(message, dict) else message for message in messages]


def _message(message: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in message.items() if value is not None and name not in _ECHOED}
    if "tool_calls" in kept:
        kept.setdefault("content", "")
    return kept


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    parameters = {name: given[name] for name in _PARAMETERS if name in given}
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        parameters["max_tokens"] = limit
    if "stop" in given:
        parameters["stop"] = [given["stop"]] if isinstance(given["stop"], str) else given["stop"]
    return parameters


def _format(wanted: Any) -> dict[str, Any]:
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    if kind in (None, "text"):
        return {}
    if kind == "json_object":
        return {"output_schema": {"type": "object"}}
    schema = wanted.get("json_schema") if isinstance(wanted, dict) and kind == "json_schema" else None
    if not isinstance(schema, dict) or not isinstance(schema.get("schema"), dict):
        raise _invalid(
            "/response_format", 'must be {"type": "json_schema", "json_schema": {"schema": {…}}}, json_object or text'
        )
    return {"output_schema": schema["schema"]}


def _named(given: dict[str, Any], theirs: str, ours: str) -> dict[str, Any]:
    return {ours: given[theirs]} if theirs in given else {}


def _own(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise _invalid(f"/{OWN}", "must be an object")
    for name in fields:
        if name not in OWN_FIELDS:
            raise _invalid(f"/{OWN}/{name}", f"unknown field; it may hold {', '.join(sorted(OWN_FIELDS))}")
    return fields


def _tools(given: dict[str, Any]) -> frozenset[str]:
    tools = given.get("tools")
    if not isinstance(tools, list):
        return frozenset()
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)]
    return frozenset(str(one.get("name")) for one in functions if isinstance(one, dict))


def _invalid(path: str, message: str) -> Problem:
    return Problem("invalid_request", f"{path}: {message}", (Reason(path, message),))
