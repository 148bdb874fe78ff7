"""Rewrites a JSON Schema into the plain alternatives it allows.

`expand` resolves local `$ref`s, folds `allOf`, and multiplies out `anyOf`, `oneOf` and `if/then/else`, so that what
remains are schemas of plain keywords. What a plain keyword cannot say (`not`, the "exactly one" of `oneOf`) is left
to the validator that checks every filled value.
"""

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

Schema = dict[str, Any]

MOST_ALTERNATIVES = 64
_COMBINATORS = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "not", "$defs", "definitions"})


class Unsatisfiable(Exception):
    """No value can satisfy this schema."""


class _Group(NamedTuple):
    """One set of branches of which one must hold, with the references that led to it."""

    branches: list[Any]
    path: frozenset[str]


def resolve(reference: str, root: Any) -> Any:
    """The schema a local reference points at; Unsatisfiable for anything remote or missing."""
    if reference in ("#", ""):
        return root
    if not reference.startswith("#/"):
        return _by_anchor(reference, root)
    found = root
    for part in reference[2:].split("/"):
        key = part.replace("~1", "/").replace("~0", "~")
        try:
            found = found[int(key)] if isinstance(found, list) else found[key]
        except (KeyError, IndexError, ValueError, TypeError) as error:
            raise Unsatisfiable(f"$ref {reference} points at nothing") from error
    return found


def _by_anchor(reference: str, root: Any) -> Any:
    for schema in (root.get("$defs") or {}).values() if isinstance(root, dict) else ():
        if isinstance(schema, dict) and "#" + str(schema.get("$anchor")) == reference:
            return schema
    raise Unsatisfiable(f"$ref {reference} is not local")


def expand(schema: Any, root: Any, path: frozenset[str] = frozenset()) -> list[Schema]:
    """Every plain alternative of `schema`, at most 64, in the order written."""
    base: Schema = {}
    groups: list[_Group] = []
    _flatten(schema, root, path, base, groups)
    if not groups:
        return [base]
    found: list[Schema] = []
    choices = itertools.product(*([(branch, group.path) for branch in group.branches] for group in groups))
    for choice in itertools.islice(choices, MOST_ALTERNATIVES):
        found += _alternatives(base, choice, root)
        if len(found) >= MOST_ALTERNATIVES:
            break
    if not found:
        raise Unsatisfiable("no branch can hold")
    return found[:MOST_ALTERNATIVES]


def _alternatives(base: Schema, choice: tuple[tuple[Any, frozenset[str]], ...], root: Any) -> list[Schema]:
    merged = [base]
    try:
        for branch, path in choice:
            options = expand(branch, root, path)
            merged = [merge(left, right) for left in merged for right in options][:MOST_ALTERNATIVES]
    except Unsatisfiable:
        return []
    return merged


def _flatten(schema: Any, root: Any, path: frozenset[str], base: Schema, groups: list[_Group]) -> None:
    if schema is False:
        raise Unsatisfiable("the schema is false")
    if not isinstance(schema, dict):
        return
    plain = {key: value for key, value in schema.items() if key not in _COMBINATORS}
    merged = merge(base, plain)
    base.update(merged)
    if isinstance(reference := schema.get("$ref"), str):
        if reference in path:
            raise Unsatisfiable(f"$ref {reference} refers to itself")
        _flatten(resolve(reference, root), root, path | {reference}, base, groups)
    for part in schema.get("allOf", ()):
        _flatten(part, root, path, base, groups)
    groups += [_Group(list(schema[word]), path) for word in ("anyOf", "oneOf") if schema.get(word)]
    if "if" in schema:
        holds = {"allOf": [schema["if"], schema.get("then", True)]}
        groups.append(_Group([holds, schema.get("else", True)], path))


def merge(left: Schema, right: Schema) -> Schema:
    """A schema that asks for what both ask for, keyword by keyword."""
    merged = dict(left)
    for key, value in right.items():
        if key in merged and merged[key] != value:
            merged[key] = _MERGERS.get(key, _keep_left)(merged[key], value)
        else:
            merged[key] = value
    return merged


def types_of(value: Any) -> list[str]:
    """The `type` keyword as a list."""
    return [value] if isinstance(value, str) else list(value)


def _types(left: Any, right: Any) -> list[str]:
    first, second = types_of(left), types_of(right)
    both = [name for name in first if name in second]
    narrowed = "integer" in first + second and "number" in first + second
    if narrowed and "integer" not in both:
        both.append("integer")
    if not both:
        raise Unsatisfiable(f"no type is both {left} and {right}")
    return both


def _enum(left: list[Any], right: list[Any]) -> list[Any]:
    both = [value for value in left if value in right]
    if not both:
        raise Unsatisfiable("the enums have nothing in common")
    return both


def _const(left: Any, right: Any) -> Any:
    raise Unsatisfiable(f"nothing equals both {left!r} and {right!r}")


def _properties(left: Schema, right: Schema) -> Schema:
    return {
        name: _both(left[name], right[name]) if name in left and name in right else left.get(name, right.get(name))
        for name in {**left, **right}
    }


def _both(left: Any, right: Any) -> Any:
    if left is False or right is False:
        return False
    return {"allOf": [left, right]}


def _multiple(left: float, right: float) -> float:
    if isinstance(left, int) and isinstance(right, int):
        return math.lcm(left, right)
    return max(left, right)


def _keep_left(left: Any, _right: Any) -> Any:
    return left


_MERGERS: dict[str, Callable[[Any, Any], Any]] = {
    "type": _types,
    "enum": _enum,
    "const": _const,
    "required": lambda left, right: list(dict.fromkeys([*left, *right])),
    "properties": _properties,
    "patternProperties": _properties,
    "additionalProperties": _both,
    "items": _both,
    "contains": _both,
    "propertyNames": _both,
    "multipleOf": _multiple,
    "uniqueItems": lambda left, right: left or right,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"), min),
}
