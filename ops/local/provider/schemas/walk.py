"""One walk through a schema that builds one value.

A walk meets forks (which alternative, with or without the optional properties); its turn number, read digit by digit,
decides each of them, so that turn 0 is the natural choice everywhere and later turns try the others.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ops.local.provider.schemas import numbers, strings
from ops.local.provider.schemas.normalise import Schema, Unsatisfiable, types_of

DEEPEST = 5
_DEEPER_IS_ENDLESS = 100
_MOST_ITEMS = 1_000
_MOST_SALTS = 24
_KIND_NAMES = ("type", "label", "category", "kind")


class Option(NamedTuple):
    """A plain schema and the type to fill it with ("chosen" for a value out of enum or const)."""

    kind: str
    schema: Schema


class Compiled(Protocol):
    """What a walk needs of a compiled schema."""

    def options(self, schema: Any) -> list[Option]:
        """The plain alternatives of a sub-schema; raises Unsatisfiable when there is none."""

    def together(self, *schemas: Any) -> Any:
        """One schema that asks for all of `schemas`: the same object each time."""


class Speaker(Protocol):
    """What a walk asks for; see filler.Meaning."""

    def text(self, name: str, focus: Any) -> str: ...
    def number(self, name: str, focus: Any, schema: Schema) -> float: ...
    def truth(self, name: str) -> bool: ...
    def rank(self, name: str, values: Sequence[Any], focus: Any) -> list[Any]: ...
    def items(self, name: str, kinds: Sequence[str], values: Sequence[Any]) -> list[Any]: ...


class Walk:
    """Builds one value; `ways` is afterwards how many turns choose differently at the forks that were met."""

    def __init__(self, compiled: Compiled, meaning: Speaker, turn: int) -> None:
        self._compiled = compiled
        self._meaning = meaning
        self._digits = turn
        self.ways = 1

    def value(self, schema: Any, name: str, focus: Any, depth: int, salt: int = 0) -> Any:
        """A value for `schema`; another `salt` asks for another value. Raises Unsatisfiable."""
        options = self._compiled.options(schema)
        if depth > _DEEPER_IS_ENDLESS:
            raise Unsatisfiable("the schema nests without end")
        if depth > DEEPEST:
            options = sorted(options, key=_size)
        kind, plain = options[self._fork(len(options))]
        match kind:
            case "chosen":
                return self._chosen(plain, name, focus, salt)
            case "object":
                return self._object(plain, name, focus, _Spot(depth, salt))
            case "array":
                return self._array(plain, name, _Spot(depth, salt))
            case "string":
                return strings.fit(self._meaning.text(name, focus), plain, salt)
            case "integer" | "number":
                wanted = self._meaning.number(name, focus, plain)
                return numbers.fit(wanted, plain, integer=kind == "integer", salt=salt)
            case "boolean":
                return self._meaning.truth(name) ^ bool(salt % 2)
            case "null":
                return None
            case _:
                raise Unsatisfiable(f"there is no type {kind}")

    def _fork(self, ways: int) -> int:
        if ways == 1:
            return 0
        self.ways *= ways
        self._digits, way = divmod(self._digits, ways)
        return way

    def _chosen(self, schema: Schema, name: str, focus: Any, salt: int) -> Any:
        values = schema["enum"] if "enum" in schema else [schema["const"]]
        if "const" in schema:
            values = [value for value in values if value == schema["const"]]
        if "type" in schema:
            values = [value for value in values if _is_one_of(value, types_of(schema["type"]))]
        if salt >= len(values):
            raise Unsatisfiable("the enum has no further value")
        if len(values) == 1:
            return values[0]
        ranked = self._meaning.rank(name, values, focus)
        return ranked[(salt + self._fork(len(values))) % len(values)]

    def _object(self, schema: Schema, name: str, focus: Any, spot: "_Spot") -> dict[str, Any]:
        required: list[str] = schema.get("required", [])
        names = list(dict.fromkeys([*schema.get("properties", {}), *required]))
        if spot.depth > DEEPEST or (len(names) > len(required) and self._fork(2)):
            names = list(dict.fromkeys(required))
        made: dict[str, Any] = {}
        for one in names:
            try:
                made[one] = self._member(schema, one, (name, focus), spot)
            except Unsatisfiable:
                if one in required:
                    raise
        self._add_dependents(schema, made, (name, focus), spot)
        self._add_members(schema, made, focus, spot)
        for one in [one for one in reversed(names) if one not in required]:
            if len(made) > schema.get("maxProperties", len(made)):
                made.pop(one, None)
        return made

    def _member(self, schema: Schema, one: str, about: tuple[str, Any], spot: "_Spot") -> Any:
        parts = [schema["properties"][one]] if one in schema.get("properties", {}) else []
        parts += [part for pattern, part in schema.get("patternProperties", {}).items() if re.search(pattern, one)]
        wanted = self._compiled.together(*parts) if parts else schema.get("additionalProperties", True)
        name, focus = one or about[0], about[1]
        if spot.salt:
            try:
                return self.value(wanted, name, focus, spot.depth + 1, spot.salt)
            except Unsatisfiable:  # this member has no other value; another one may
                return self.value(wanted, name, focus, spot.depth + 1)
        return self.value(wanted, name, focus, spot.depth + 1)

    def _add_dependents(self, schema: Schema, made: dict[str, Any], about: tuple[str, Any], spot: "_Spot") -> None:
        for trigger, needed in schema.get("dependentRequired", {}).items():
            for one in needed if trigger in made else ():
                if one not in made:
                    made[one] = self._member(schema, one, about, spot)

    def _add_members(self, schema: Schema, made: dict[str, Any], focus: Any, spot: "_Spot") -> None:
        tries = 0
        while len(made) < schema.get("minProperties", 0):
            one = self._new_name(schema, tries)
            tries += 1
            if one not in made:
                made[one] = self._member(schema, one, (one, focus), spot)
            if tries > _MOST_ITEMS:
                raise Unsatisfiable("not enough property names")

    def _new_name(self, schema: Schema, salt: int) -> str:
        if "propertyNames" in schema:
            return str(self.value(schema["propertyNames"], f"field_{salt + 1}", None, DEEPEST, salt))
        if schema.get("additionalProperties") is False:
            for pattern in schema.get("patternProperties", {}):
                return strings.fit("", {"pattern": pattern}, salt)
        return f"field_{salt + 1}"

    def _array(self, schema: Schema, name: str, spot: "_Spot") -> list[Any]:
        heads: list[Any] = list(schema.get("prefixItems", []))
        item = schema.get("items", True)
        if "contains" in schema:
            wanted = int(schema.get("minContains", 1))
            heads += [self._compiled.together(schema["contains"], item)] * wanted
        foci = self._foci(item, name) if item is not False else []
        least, count = _lengths(schema, len(heads), len(foci) if spot.depth <= DEEPEST else 0)
        made: list[Any] = []
        for index in range(count):
            focus = foci[index] if index < len(foci) else None
            element = heads[index] if index < len(heads) else item
            try:
                self._append(made, schema, element, (name, focus), _Spot(spot.depth, 0 if index else spot.salt))
            except Unsatisfiable:
                if index < least or index < len(heads):
                    raise
                break
        return made

    def _append(self, made: list[Any], array: Schema, item: Any, about: tuple[str, Any], spot: "_Spot") -> None:
        name, focus = about
        different = bool(array.get("uniqueItems"))
        for salt in range(spot.salt, spot.salt + (_MOST_SALTS if different else 1)):
            element = self.value(item, name, focus, spot.depth + 1, salt)
            if not different or not any(same(element, other) for other in made):
                made.append(element)
                return
        raise Unsatisfiable("no further different item")

    def _foci(self, item: Any, name: str) -> list[Any]:
        try:
            plain = self._compiled.options(item)[0].schema
        except Unsatisfiable:
            return []
        properties = plain.get("properties", {})
        labels = [properties[one] for one in _KIND_NAMES if isinstance(properties.get(one), dict)]
        kinds: list[Any] = next((label["enum"] for label in labels if "enum" in label), [])
        return self._meaning.items(name, kinds, plain.get("enum", []))


class _Spot(NamedTuple):
    """How deep a value stands, and which of its possible values is asked for."""

    depth: int
    salt: int


def _lengths(schema: Schema, heads: int, wanted: int) -> tuple[int, int]:
    """The least and the chosen length of an array. Raises Unsatisfiable."""
    least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", _MOST_ITEMS))
    if schema.get("items") is False:
        most = min(most, heads)
    if least > most or least > _MOST_ITEMS:
        raise Unsatisfiable("the array cannot be that long")
    return least, max(least, min(most, max(wanted, heads)))


def same(left: Any, right: Any) -> bool:
    """Equality of JSON: true is not 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _size(option: Option) -> int:
    """How much a filled option nests: scalars first, then what may stay empty."""
    if option.kind == "object":
        return 2 + len(option.schema.get("required", ()))
    if option.kind == "array":
        return 1 if not option.schema.get("minItems") else 3
    return 0


def _is_one_of(value: Any, types: list[str]) -> bool:
    names = {
        bool: ("boolean",),
        int: ("integer", "number"),
        float: ("number",),
        str: ("string",),
        type(None): ("null",),
    }
    allowed = names.get(type(value), ("array",) if isinstance(value, list) else ("object",))
    whole = isinstance(value, float) and value.is_integer() and "integer" in types
    return whole or any(name in types for name in allowed)
