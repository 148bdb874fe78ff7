"""How a schema is passed to a provider, and the messages that go with it.

json_schema   OpenAI `response_format` (strict where the schema allows it), Anthropic `output_config.format`. Gemini
              refuses words that it does not know: what it cannot enforce is a json_object there
tool          Anthropic: a tool `answer` whose input is the answer, the only one the model may choose
json_object   any JSON object, and the schema as an instruction
none          the schema as an instruction only
A schema whose root is not an object cannot be enforced by any provider and is always an instruction.
"""

from dataclasses import dataclass, field
from typing import Any

from domain.output.schema import OutputSchema
from domain.output.strict import ANTHROPIC, GEMINI, OPENAI, Takes
from domain.routing.model import Deployment

ANSWER_TOOL = "answer"
GEMINI_PROVIDER = "gemini"
_INSTRUCTION = (
    "Answer with one JSON value and nothing else: no prose, no code fence. It must be valid against this JSON Schema:\n"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """The messages to send and the fields of the body that ask for the schema."""

    messages: list[dict[str, Any]]
    fields: dict[str, Any] = field(default_factory=dict)


def ask(
    deployment: Deployment, schema: OutputSchema | None, messages: list[dict[str, Any]], *, free_tools: bool = True
) -> Asked:
    """`free_tools` is False where the caller's own tools (or thinking) leave no room to force a tool."""
    if schema is None:
        return Asked(messages)
    if deployment.dialect == "anthropic":
        fields = _anthropic(deployment.structured, schema, free_tools)
    else:
        fields = _openai(_structured(deployment, schema), schema, enforced(deployment, schema))
    is_asked = fields and fields.get("response_format") != {"type": "json_object"}
    return Asked(messages if is_asked else instruct(messages, schema), fields)


def instruct(messages: list[dict[str, Any]], schema: OutputSchema) -> list[dict[str, Any]]:
    """The messages with the schema as an instruction: at the end of the system text, or as one."""
    text = _INSTRUCTION + schema.text
    head = messages[0] if messages else {}
    if head.get("role") in ("system", "developer") and isinstance(head.get("content"), str):
        return [{**head, "content": f"{head['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def takes(deployment: Deployment) -> Takes:
    """What its provider takes of a schema where it is passed on as one."""
    if deployment.provider == GEMINI_PROVIDER:
        return GEMINI
    return ANTHROPIC if deployment.dialect == "anthropic" else OPENAI


def _structured(deployment: Deployment, schema: OutputSchema) -> str:
    if deployment.structured == "json_schema" and takes(deployment) is GEMINI and schema.for_gemini is None:
        return "json_object"
    return deployment.structured


def enforced(deployment: Deployment, schema: OutputSchema) -> dict[str, Any] | None:
    """The part of the schema that its provider can enforce, in its form, or None."""
    kind = takes(deployment)
    if kind is GEMINI:
        return schema.for_gemini
    return schema.for_anthropic if kind is ANTHROPIC else schema.for_openai


def _openai(structured: str, schema: OutputSchema, enforced: dict[str, Any] | None) -> dict[str, Any]:
    if not schema.is_object or structured == "none":
        return {}
    if structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    if structured == "tool":
        function = {"name": ANSWER_TOOL, "description": "Gives the answer.", "parameters": schema.schema}
        choice = {"type": "function", "function": {"name": ANSWER_TOOL}}
        return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
    asked = {"name": ANSWER_TOOL, "schema": enforced or schema.schema, "strict": enforced is not None}
    return {"response_format": {"type": "json_schema", "json_schema": asked}}


def _anthropic(structured: str, schema: OutputSchema, free_tools: bool) -> dict[str, Any]:
    if not schema.is_object or structured in ("none", "json_object"):
        return {}
    if structured == "json_schema" and schema.for_anthropic is not None:
        return {"output_config": {"format": {"type": "json_schema", "schema": schema.for_anthropic}}}
    if not free_tools:
        return {}
    tool = {"name": ANSWER_TOOL, "description": "Gives the answer.", "input_schema": schema.schema}
    return {"tools": [tool], "tool_choice": {"type": "tool", "name": ANSWER_TOOL}}
