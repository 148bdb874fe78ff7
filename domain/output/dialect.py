"""How a schema is passed to a provider, and the messages that go with it.

json_schema   OpenAI `response_format` (strict where the schema allows it), Anthropic `output_config.format`
tool          Anthropic: a tool `answer` whose input is the answer, the only one the model may choose
json_object   any JSON object, and the schema as an instruction
none          the schema as an instruction only
A schema whose root is not an object cannot be enforced by any provider and is always an instruction.
"""

from dataclasses import dataclass, field
from typing import Any

from domain.output.schema import OutputSchema
from domain.routing.model import Deployment

ANSWER_TOOL = "answer"
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
        fields = _openai(deployment.structured, schema)
    enforced = fields and fields.get("response_format") != {"type": "json_object"}
    return Asked(messages if enforced else instruct(messages, schema), fields)


def instruct(messages: list[dict[str, Any]], schema: OutputSchema) -> list[dict[str, Any]]:
    """The messages with the schema as an instruction: at the end of the system text, or as one."""
    text = _INSTRUCTION + schema.text
    head = messages[0] if messages else {}
    if head.get("role") in ("system", "developer") and isinstance(head.get("content"), str):
        return [{**head, "content": f"{head['content']}\n\n{text}"}, *messages[1:]]
    return [{"role": "system", "content": text}, *messages]


def _openai(structured: str, schema: OutputSchema) -> dict[str, Any]:
    if not schema.is_object or structured == "none":
        return {}
    if structured == "json_object":
        return {"response_format": {"type": "json_object"}}
    if structured == "tool":
        function = {"name": ANSWER_TOOL, "description": "Gives the answer.", "parameters": schema.schema}
        choice = {"type": "function", "function": {"name": ANSWER_TOOL}}
        return {"tools": [{"type": "function", "function": function}], "tool_choice": choice}
    enforced = schema.for_openai
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
