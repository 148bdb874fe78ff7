"""Which schemas a provider can enforce while it writes, and in which form.

Sources: OpenAI "Structured Outputs" (supported schemas), Anthropic "Structured outputs" (JSON Schema limitations) and
Gemini API reference, GenerationConfig.responseJsonSchema (the words it takes). The first two want closed objects that
require all their properties. Bounds a provider cannot enforce are moved into the
description, as the providers' own libraries do: the model reads them, and the answer is checked here against the whole
schema in any case.
"""

from dataclasses import dataclass
from typing import Any

# words that say the shape, bounds that some enforce, what goes into the description, what goes nowhere
FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
SHAPE = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "description"}
    | {"title", "$defs", "$ref", "format"}
)
BOUNDS = frozenset(
    {"pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems"}
)
ONLY_SAID = frozenset({"minLength", "maxLength", "uniqueItems", "minProperties", "maxProperties", "format"}) | BOUNDS
SILENT = frozenset({"default", "examples", "$comment", "$schema", "$id", "deprecated", "readOnly", "writeOnly"})
DEPTH = 10
PROPERTIES = 5_000
ENUM_VALUES = 1_000


@dataclass(frozen=True, slots=True)
class Takes:
    """What a provider takes of a schema; `closed`: objects only that are closed and require all their properties."""

    words: frozenset[str]
    formats: frozenset[str] = FORMATS
    closed: bool = True


OPENAI = Takes(SHAPE | BOUNDS)
ANTHROPIC = Takes(SHAPE)
GEMINI = Takes(
    SHAPE - {"const"} | {"minimum", "maximum", "minItems", "maxItems"}, frozenset({"date-time", "date", "time"}), False
)


class _Outside(Exception):
    """A word of the schema has no form that the provider can enforce."""


def openai(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema as OpenAI's `strict: true` takes it, or None."""
    return _Reduction(OPENAI).run(schema)


def anthropic(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema as Anthropic's `output_config.format` takes it, or None. Not to be asked of a recursive schema."""
    return _Reduction(ANTHROPIC).run(schema)


def gemini(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema as Gemini's OpenAI interface takes it, or None. Not to be asked of a recursive schema."""
    return _Reduction(GEMINI).run(schema)


class _Reduction:
    """Copies a schema node by node, keeping what the provider takes."""

    def __init__(self, takes: Takes) -> None:
        self._takes = takes
        self._properties = 0
        self._values = 0

    def run(self, schema: dict[str, Any]) -> dict[str, Any] | None:
        if schema.get("type") != "object" or "anyOf" in schema:
            return None
        try:
            reduced = self._node(schema, 1)
        except _Outside:
            return None
        return reduced if self._properties <= PROPERTIES and self._values <= ENUM_VALUES else None

    def _node(self, node: Any, level: int) -> dict[str, Any]:
        if not isinstance(node, dict) or level > DEPTH:
            raise _Outside
        if node.keys() - self._takes.words - {"const"} - ONLY_SAID - SILENT:
            raise _Outside
        if "$ref" in node:
            if node.keys() - {"$ref", "description", "title"}:
                raise _Outside
            return {"$ref": node["$ref"]}
        if "const" in node and "const" not in self._takes.words:
            node = {word: value for word, value in node.items() if word != "const"} | {"enum": [node["const"]]}
        if open_reason(node, self._takes.closed) is not None:
            raise _Outside
        self._values += len(node.get("enum", ()))
        kept = {word: self._value(word, value, level) for word, value in node.items() if self._keeps(word, value)}
        said = ", ".join(f"{word}: {node[word]}" for word in sorted(node.keys() - kept.keys() - SILENT))
        if said:
            kept["description"] = f"{node.get('description', '')} ({said})".strip()
        return kept

    def _keeps(self, word: str, value: Any) -> bool:
        return word in self._takes.words and (word != "format" or value in self._takes.formats)

    def _value(self, word: str, value: Any, level: int) -> Any:
        if word in ("properties", "$defs"):
            self._properties += len(value) if word == "properties" else 0
            return {name: self._node(child, level + 1) for name, child in value.items()}
        if word == "items":
            return self._node(value, level + 1)
        return [self._node(child, level + 1) for child in value] if word == "anyOf" else value


def open_reason(node: dict[str, Any], closed: bool) -> str | None:
    """Why a provider that wants objects `closed`, or not, cannot enforce this node by itself; None where it can."""
    kinds = node.get("type", ())
    is_object = kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in node
    if is_object and closed:
        if node.get("additionalProperties") is not False:
            return "the object is open; say additionalProperties: false"
        if missing := set(node.get("properties", ())) ^ set(node.get("required", ())):
            return f"not all properties are required: {', '.join(sorted(missing)[:5])}; make them nullable instead"
    elif not node.keys() & {"type", "enum", "const", "anyOf"}:
        return "says nothing of its type"
    return None
