"""Compiles a JSON Schema once and fills it with valid, meaningful values many times.

A filler walks the schema's plain alternatives (see normalise.py) and asks a `Meaning` what to say; what it says is
bent to the schema's keywords. Every value is checked by a real validator; when one fails, the walk is repeated with
other choices at its forks, so that `not`, `oneOf` and overlapping branches come out right too.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import jsonschema_rs
import orjson

from ops.local.provider.schemas.normalise import Schema, Unsatisfiable, expand, types_of
from ops.local.provider.schemas.said import with_said_bounds
from ops.local.provider.schemas.walk import Option, Walk

MOST_WALKS = 96
_MOST_COMPILED = 512
_OTHER_TYPES = ("null", "boolean", "integer", "string", "array", "object")
_TYPE_WORDS = {
    "object": ("properties", "required", "additionalProperties", "patternProperties", "minProperties", "propertyNames"),
    "array": ("items", "prefixItems", "minItems", "maxItems", "contains", "uniqueItems"),
    "string": ("minLength", "maxLength", "pattern", "format"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
}


class InvalidSchema(ValueError):
    """The schema itself is no JSON Schema that this provider accepts."""


class Meaning(Protocol):
    """What to say in a place of a schema; `name` is the nearest property name, `focus` the item being described."""

    def text(self, name: str, focus: Any) -> str:
        """A string."""

    def number(self, name: str, focus: Any, schema: Schema) -> float:
        """A number, near the bounds in `schema` where they say something about the scale."""

    def truth(self, name: str) -> bool:
        """A truth value."""

    def rank(self, name: str, values: Sequence[Any], focus: Any) -> list[Any]:
        """The enum `values`, the best fitting first."""

    def items(self, name: str, kinds: Sequence[str], values: Sequence[Any]) -> list[Any]:
        """What a list speaks of, one focus an item; `kinds` and `values` are the enums that items may use."""


class Filler:
    """One compiled schema.

    Raises InvalidSchema when the schema is malformed or refers to something outside itself.
    """

    def __init__(self, schema: Any) -> None:
        schema = self.root = with_said_bounds(schema)
        self._options: dict[int, tuple[Any, list[Option]]] = {}
        self._together: dict[tuple[int, ...], Any] = {}
        try:
            self.validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, retriever=_refuse)
        except (ValueError, TypeError) as error:  # the library's own errors are ValueErrors
            raise InvalidSchema(str(error).splitlines()[0]) from error

    def fill(self, meaning: Meaning) -> Any:
        """A value for the schema: valid, unless the schema allows none (then the nearest attempt, or null)."""
        nearest, ways = None, 1
        for turn in range(MOST_WALKS):
            # First every way through the forks, then again with other values in the places.
            salt, way = divmod(turn, ways)
            walk = Walk(self, meaning, way)
            try:
                nearest = walk.value(self.root, "", None, 0, salt)
            except Unsatisfiable:
                if walk.ways == 1:
                    break
            else:
                if self.validator.is_valid(nearest):
                    break
            ways = max(ways, walk.ways)
        return nearest

    def options(self, schema: Any) -> list[Option]:
        """The plain alternatives of a sub-schema, null ones last; computed once a sub-schema.

        Raises Unsatisfiable when there is none.
        """
        known = self._options.get(id(schema))
        if known is None:  # the schema is kept beside its options, so that its id is not given to another
            known = self._options[id(schema)] = (schema, self._expand(schema))
        if not known[1]:
            raise Unsatisfiable("the schema allows nothing")
        return known[1]

    def together(self, *schemas: Any) -> Any:
        """One schema that asks for all of `schemas`: the same object each time, so that its options are kept."""
        if len(schemas) == 1:
            return schemas[0]
        key = tuple(map(id, schemas))
        if key not in self._together:
            self._together[key] = {"allOf": list(schemas)}
        return self._together[key]

    def _expand(self, schema: Any) -> list[Option]:
        try:
            plain = expand(schema, self.root)
        except Unsatisfiable:
            return []
        found = [Option(kind, one) for one in plain for kind in _kinds(one)]
        return sorted(found, key=lambda option: option.kind == "null")


def compiled(schema: Any) -> Filler:
    """The filler of a schema, remembered by the schema's bytes. Raises InvalidSchema."""
    key = orjson.dumps(schema)
    filler = _COMPILED.get(key)
    if filler is None:
        if len(_COMPILED) >= _MOST_COMPILED:
            _COMPILED.clear()
        filler = _COMPILED[key] = Filler(schema)
    return filler


_COMPILED: dict[bytes, Filler] = {}


def _refuse(address: str) -> Any:
    raise ValueError(f"$ref {address} is remote, and remote schemas are never fetched")


def _kinds(schema: Schema) -> list[str]:
    """The types to try, the likeliest first; "chosen" stands for a value out of enum or const."""
    if "enum" in schema or "const" in schema:
        return ["chosen"]
    if "type" in schema:
        return types_of(schema["type"])
    for kind, words in _TYPE_WORDS.items():
        if any(word in schema for word in words):
            return [kind, *(other for other in _OTHER_TYPES if other != kind)]
    return ["string", "null", "boolean", "integer", "array", "object"]
