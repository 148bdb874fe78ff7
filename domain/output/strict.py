"""Which schemas a provider can enforce while it writes: only a part of JSON Schema, another part each.

Sources: OpenAI "Structured Outputs" (supported schemas) and Anthropic "Structured outputs" (JSON Schema limitations).
A schema outside is passed without enforcement; the answer is checked here in any case.
"""

from collections.abc import Iterator
from typing import Any

_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"},
)
_SHARED = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const"}
    | {"description", "title", "$defs", "$ref", "$schema", "format"},
)
_OPENAI = _SHARED | {
    "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems",
}  # fmt: skip
_OPENAI_DEPTH = 10
_OPENAI_PROPERTIES = 5_000
_OPENAI_ENUM_VALUES = 1_000


def openai(schema: dict[str, Any]) -> bool:
    """Whether OpenAI's `strict: true` accepts it."""
    nodes = list(_nodes(schema))
    properties = sum(len(node.get("properties") or ()) for node, _ in nodes)
    values = sum(len(node.get("enum") or ()) for node, _ in nodes)
    deepest = max(level for _, level in nodes)
    small = properties <= _OPENAI_PROPERTIES and values <= _OPENAI_ENUM_VALUES and deepest <= _OPENAI_DEPTH
    return small and _closed_root(schema) and all(_fits(node, _OPENAI) for node, _ in nodes)


def anthropic(schema: dict[str, Any]) -> bool:
    """Whether Anthropic's `output_config.format` accepts it (a recursive schema it does not)."""
    return _closed_root(schema) and all(_fits(node, _SHARED) for node, _ in _nodes(schema))


def _closed_root(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "object" and "anyOf" not in schema


def _fits(node: dict[str, Any], words: frozenset[str]) -> bool:
    if not node or not words.issuperset(node) or node.get("format", "date") not in _FORMATS:
        return False
    if "$ref" in node:
        return node.keys() <= {"$ref", "description", "title"}
    kinds = node.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in node:
        names = set(node.get("properties") or ())
        return node.get("additionalProperties") is False and names == set(node.get("required") or ())
    return bool({"type", "enum", "const", "anyOf"} & node.keys())


def _nodes(schema: Any, level: int = 1) -> Iterator[tuple[dict[str, Any], int]]:
    if not isinstance(schema, dict):
        return
    yield schema, level
    below: list[Any] = [schema.get("items"), *(schema.get("anyOf") or ())]
    for word in ("properties", "$defs"):
        below += (schema.get(word) or {}).values()
    for child in below:
        yield from _nodes(child, level + 1)
