"""Which schemas a provider can enforce while it writes, and in which form.

Sources: OpenAI "Structured Outputs" (supported schemas) and Anthropic "Structured outputs" (JSON Schema limitations).
Both want closed objects that require all their properties. Bounds a provider cannot enforce are moved into the
description, as the providers' own libraries do: the model reads them, and the answer is checked here against the whole
schema in any case.
"""

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


class _Outside(Exception):
    """A word of the schema has no form that the provider can enforce."""


def openai(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema as OpenAI's `strict: true` takes it, or None."""
    return _Reduction(SHAPE | BOUNDS).run(schema)


def anthropic(schema: dict[str, Any]) -> dict[str, Any] | None:
    """The schema as Anthropic's `output_config.format` takes it, or None. Not to be asked of a recursive schema."""
    return _Reduction(SHAPE).run(schema)


class _Reduction:
    """Copies a schema node by node, keeping `words`."""

    def __init__(self, words: frozenset[str]) -> None:
        self._words = words
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
        if not isinstance(node, dict) or level > DEPTH or node.keys() - self._words - ONLY_SAID - SILENT:
            raise _Outside
        if "$ref" in node:
            if node.keys() - {"$ref", "description", "title"}:
                raise _Outside
            return {"$ref": node["$ref"]}
        _closed(node)
        self._values += len(node.get("enum", ()))
        kept = {word: self._value(word, value, level) for word, value in node.items() if self._keeps(word, value)}
        said = ", ".join(f"{word}: {node[word]}" for word in sorted(node.keys() - kept.keys() - SILENT))
        if said:
            kept["description"] = f"{node.get('description', '')} ({said})".strip()
        return kept

    def _keeps(self, word: str, value: Any) -> bool:
        return word in self._words and (word != "format" or value in FORMATS)

    def _value(self, word: str, value: Any, level: int) -> Any:
        if word in ("properties", "$defs"):
            self._properties += len(value) if word == "properties" else 0
            return {name: self._node(child, level + 1) for name, child in value.items()}
        if word == "items":
            return self._node(value, level + 1)
        return [self._node(child, level + 1) for child in value] if word == "anyOf" else value


def _closed(node: dict[str, Any]) -> None:
    """Raises _Outside unless the node says what it is and, being an object, is closed and complete."""
    if open_reason(node) is not None:
        raise _Outside


def open_reason(node: dict[str, Any]) -> str | None:
    """Why a provider cannot enforce this node by itself; None where it can."""
    kinds = node.get("type", ())
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds) or "properties" in node:
        if node.get("additionalProperties") is not False:
            return "the object is open; say additionalProperties: false"
        if missing := set(node.get("properties", ())) ^ set(node.get("required", ())):
            return f"not all properties are required: {', '.join(sorted(missing)[:5])}; make them nullable instead"
    elif not node.keys() & {"type", "enum", "const", "anyOf"}:
        return "says nothing of its type"
    return None
