"""Whether every answer that one schema allows is allowed by another. Pure; where that cannot be shown, it is not so.

`BACKWARD` asks it of the version before and the new one, `FORWARD` the other way round. A schema that says nothing of
further properties is taken at its word: its answers have no others, so that an optional property may come and go.
What cannot be compared (not, if, dependencies, patterns of names …) must stay as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import jsonschema_rs
import orjson

from domain.errors import Problem
from domain.output.bounds import escape
from domain.schemas.model import Compatibility
from domain.schemas.values import Comparison, numbers, sizes, texts, types

MAX_REASONS = 20
ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format", "contentEncoding"}
    | {"contentMediaType", "contentSchema", "$comment", "$schema", "$id", "$anchor", "$defs", "definitions"}
)
RIGID = (
    "not", "if", "then", "else", "oneOf", "dependentRequired", "dependentSchemas", "dependencies", "patternProperties",
    "propertyNames", "contains", "minContains", "maxContains", "unevaluatedProperties", "unevaluatedItems",
    "prefixItems", "$dynamicRef",
)  # fmt: skip
Schema = dict[str, Any] | bool


@dataclass(frozen=True, slots=True)
class Side:
    """A schema within its document; `name` is what messages call it."""

    name: str
    root: dict[str, Any]
    schema: Schema

    def at(self, schema: Schema) -> "Side":
        return replace(self, schema=schema)

    def resolved(self) -> "Side":
        """With what its `$ref` leads to in its place. Raises KeyError for one that leads nowhere."""
        side = self
        for _ in range(64):
            if not isinstance(side.schema, dict) or "$ref" not in side.schema:
                return side
            rest = {name: value for name, value in side.schema.items() if name != "$ref"}
            target = _target(self.root, side.schema["$ref"])
            side = side.at({**rest, "allOf": [*rest.get("allOf", ()), target]} if _says(rest) else target)
        raise KeyError("$ref")


def incompatible(old: dict[str, Any], new: dict[str, Any], version: int, mode: Compatibility) -> tuple[Problem, ...]:
    """Why `new` may not follow `old`, which is `version`; empty when it may. Paths point into the schemas."""
    before, after = Side(f"version {version}", old, old), Side("the new version", new, new)
    problems: list[Problem] = []
    if mode in ("BACKWARD", "FULL"):
        problems += contained(before, after)
    if mode in ("FORWARD", "FULL"):
        problems += contained(after, before)
    return tuple(problems[:MAX_REASONS])


def contained(narrow: Side, wide: Side) -> list[Problem]:
    """Why an answer to `narrow` may break `wide`."""
    return list(_Walk().check(narrow, wide, ""))


@dataclass(slots=True)
class _Walk:
    """One comparison; `open` are the pairs under way, which a recursive schema meets again."""

    open: set[tuple[bytes, bytes]] = field(default_factory=set)

    def check(self, narrow: Side, wide: Side, path: str) -> Iterator[Problem]:
        try:
            narrow, wide = narrow.resolved(), wide.resolved()
        except KeyError:
            yield Problem(path, "a $ref leads nowhere, or outside of the schema")
            return
        pair = _key(narrow.schema), _key(wide.schema)
        alike = pair[0] == pair[1] and (narrow.root == wide.root or b'"$ref"' not in pair[0])
        if alike or pair in self.open or narrow.schema is False or not _says(wide.schema):
            return
        self.open.add(pair)
        try:
            yield from self._compare(narrow, wide, path)
        finally:
            self.open.discard(pair)

    def _compare(self, narrow: Side, wide: Side, path: str) -> Iterator[Problem]:
        if not isinstance(wide.schema, dict):
            yield Problem(path, f"{wide.name} allows nothing here, {narrow.name} does")
            return
        given = narrow.schema if isinstance(narrow.schema, dict) else {}
        values = _finite(given)
        if values is not None:
            yield from _listed(values, narrow, wide, path)
            return
        if "anyOf" in given or "oneOf" in given:
            yield from self._alternatives(narrow, given, wide, path)
            return
        if "allOf" in given:
            yield from self._joined(narrow, given, wide, path)
            return
        yield from self._keywords(narrow.at(given), wide, path)

    def _alternatives(self, narrow: Side, given: dict[str, Any], wide: Side, path: str) -> Iterator[Problem]:
        name = "anyOf" if "anyOf" in given else "oneOf"
        rest = {key: value for key, value in given.items() if key != name}
        for branch in given[name]:
            both = {**rest, "allOf": [*rest.get("allOf", ()), branch]} if _says(rest) else branch
            yield from self.check(narrow.at(both), wide, path)

    def _joined(self, narrow: Side, given: dict[str, Any], wide: Side, path: str) -> Iterator[Problem]:
        """What all members say together is narrower than each; without a member that is enough, the first reason."""
        rest = {key: value for key, value in given.items() if key != "allOf"}
        merged = _merged([rest, *(self._resolved(narrow.at(member)) for member in given["allOf"])])
        if merged is not None:
            yield from self.check(narrow.at(merged), wide, path)
            return
        found = [list(self.check(narrow.at(member), wide, path)) for member in (rest, *given["allOf"])]
        if all(found):
            yield found[-1][0]

    def _resolved(self, side: Side) -> Schema:
        try:
            return side.resolved().schema
        except KeyError:
            return True

    def _keywords(self, narrow: Side, wide: Side, path: str) -> Iterator[Problem]:
        given, wanted = _dict(narrow), _dict(wide)
        where = Comparison(given, wanted, narrow.name, wide.name, path)
        for name in RIGID:
            if name in wanted and wanted[name] != given.get(name):
                yield Problem(f"{path}/{name}", f"differs, and {name} cannot be compared: it must stay as it is")
        if "enum" in wanted or "const" in wanted:
            yield Problem(path, f"{wide.name} allows only listed values, {narrow.name} allows others")
            return
        for member in wanted.get("allOf", ()):
            yield from self.check(narrow, wide.at(member), path)
        yield from self._one_of_any(narrow, wide, path)
        mismatch = list(types(where))
        yield from mismatch
        if not mismatch:
            yield from numbers(where)
            yield from texts(where)
            yield from sizes(where)
            yield from self._items(narrow, wide, path)
            yield from self._properties(narrow, wide, path)

    def _one_of_any(self, narrow: Side, wide: Side, path: str) -> Iterator[Problem]:
        branches = _dict(wide).get("anyOf")
        if branches and all(any(True for _ in self.check(narrow, wide.at(one), path)) for one in branches):
            yield Problem(f"{path}/anyOf", f"no alternative of {wide.name} takes all that {narrow.name} allows")

    def _items(self, narrow: Side, wide: Side, path: str) -> Iterator[Problem]:
        given, wanted = _dict(narrow), _dict(wide)
        if "items" in wanted and _may(given, "array"):
            yield from self.check(narrow.at(given.get("items", True)), wide.at(wanted["items"]), f"{path}/items")

    def _properties(self, narrow: Side, wide: Side, path: str) -> Iterator[Problem]:
        given, wanted = _dict(narrow), _dict(wide)
        if not _may(given, "object"):
            return
        for name in wanted.get("required", ()):
            if name not in given.get("required", ()):
                yield Problem(f"{path}/required", f"{wide.name} requires {name!r}, {narrow.name} does not")
        mine, others = given.get("properties", {}), wanted.get("properties", {})
        beyond, allowed = _additional(given), wanted.get("additionalProperties", True)
        for name in {**mine, **others}:
            has, needs = mine.get(name, beyond), others.get(name, allowed)
            below = f"{path}/properties/{escape(name)}"
            if needs is False and has is not False:
                yield Problem(below, f"{narrow.name} allows {name!r}, {wide.name} does not")
            else:
                yield from self.check(narrow.at(has), wide.at(needs), below)
        if beyond is not False:
            yield from self.check(narrow.at(beyond), wide.at(allowed), f"{path}/additionalProperties")


def _additional(given: dict[str, Any]) -> Schema:
    """What an object may have besides; nothing where it says nothing, anything where patterns of names are used."""
    if "patternProperties" in given:
        return True
    found: Schema = given.get("additionalProperties", False)
    return found


def _merged(members: list[Schema]) -> dict[str, Any] | None:
    """One schema for all members where no two say something of the same keyword, else None."""
    merged: dict[str, Any] = {}
    for member in members:
        if not isinstance(member, dict):
            continue
        said = {name: value for name, value in member.items() if name not in ANNOTATIONS}
        if any(name in merged and merged[name] != value for name, value in said.items()):
            return None
        merged |= said
    return merged


def _finite(given: dict[str, Any]) -> list[Any] | None:
    """All values there are, where they can be listed."""
    if "const" in given:
        return [given["const"]]
    if "enum" in given:
        return list(given["enum"])
    kind = given.get("type")
    kinds = {kind} if isinstance(kind, str) else set(kind or ())
    if kinds and kinds <= {"null", "boolean"}:
        return [*([None] if "null" in kinds else []), *([True, False] if "boolean" in kinds else [])]
    return None


def _listed(values: list[Any], narrow: Side, wide: Side, path: str) -> Iterator[Problem]:
    shared: dict[str, Any] = {name: wide.root[name] for name in ("$defs", "definitions") if name in wide.root}
    try:
        check = jsonschema_rs.Draft202012Validator({**shared, **_dict(wide)}, offline=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        yield Problem(path, "cannot be compared: it must stay as it is")
        return
    lost = [value for value in values if not check.is_valid(value)]
    if lost:
        said = orjson.dumps(lost[:5]).decode()[1:-1]
        yield Problem(path, f"{narrow.name} allows {said[:200]}, {wide.name} does not")


def _dict(side: Side) -> dict[str, Any]:
    return side.schema if isinstance(side.schema, dict) else {}


def _may(given: dict[str, Any], kind: str) -> bool:
    wanted = given.get("type")
    return wanted is None or kind in ([wanted] if isinstance(wanted, str) else wanted)


def _says(schema: Schema) -> bool:
    """Whether it forbids anything."""
    return schema is False or (isinstance(schema, dict) and any(name not in ANNOTATIONS for name in schema))


def _key(schema: Schema) -> bytes:
    return orjson.dumps(_plain(schema), option=orjson.OPT_SORT_KEYS)


def _plain(schema: Any) -> Any:
    """Without what says nothing of an answer."""
    if not isinstance(schema, dict):
        return schema
    return {name: value for name, value in schema.items() if name not in ANNOTATIONS}


def _target(root: dict[str, Any], pointer: Any) -> Schema:
    if not isinstance(pointer, str) or not pointer.startswith("#"):
        raise KeyError(pointer)
    found: Any = root
    for step in pointer[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    if not isinstance(found, dict | bool):
        raise KeyError(pointer)
    return found
