"""What a new version of a schema may change. `old` and `new` as the modes see them, and a proof by example."""

import random
from typing import Any

import jsonschema_rs
import pytest

from domain.schemas.compatibility import Side, contained, incompatible

TEXT, WHOLE, NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def thing(required: tuple[str, ...] = ("a",), **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


def listed(*values: Any) -> dict[str, Any]:
    return {"enum": list(values)}


TREE = {"$ref": "#/$defs/node", "$defs": {"node": thing((), next={"$ref": "#/$defs/node"}, v=WHOLE)}}
LARGER_TREE = {"$ref": "#/$defs/node", "$defs": {"node": thing((), next={"$ref": "#/$defs/node"}, v=NUMBER)}}
MAYBE = {"anyOf": [TEXT, {"type": "null"}]}

CASES = [
    # what, the version before, the new one, whether it may follow BACKWARD and FORWARD
    ("the same", thing(a=TEXT), thing(a=TEXT), True, True),
    ("words about it", thing(a=TEXT), {**thing(a={**TEXT, "description": "new"}), "title": "T"}, True, True),
    ("an optional property more", thing(a=TEXT), thing(a=TEXT, b=WHOLE), True, True),
    ("a required property more", thing(a=TEXT), thing(("a", "b"), a=TEXT, b=WHOLE), False, True),
    ("a required property less", thing(("a", "b"), a=TEXT, b=WHOLE), thing(a=TEXT), True, False),
    ("a property becomes optional", thing(a=TEXT), thing((), a=TEXT), True, False),
    ("a property becomes required", thing((), a=TEXT), thing(a=TEXT), False, True),
    ("another type", thing(a=TEXT), thing(a=WHOLE), False, False),
    ("a wider number", thing(a=WHOLE), thing(a=NUMBER), True, False),
    ("a type more", thing(a=TEXT), thing(a={"type": ["string", "null"]}), True, False),
    ("null as an alternative", thing(a=TEXT), thing(a=MAYBE), True, False),
    ("a value more", thing(a=listed("x")), thing(a=listed("x", "y")), True, False),
    ("a value less", thing(a=listed("x", "y")), thing(a=listed("x")), False, True),
    ("free text after a list", thing(a=listed("x")), thing(a=TEXT), True, False),
    ("true and false are all there is", thing(a={"type": "boolean"}), thing(a=listed(True, False)), True, True),
    ("a constant of the list", thing(a={"const": "x"}), thing(a=listed("x", "y")), True, False),
    ("a lower bound", thing(a=WHOLE), thing(a={**WHOLE, "minimum": 1}), False, True),
    ("a tighter bound", thing(a={**WHOLE, "maximum": 10}), thing(a={**WHOLE, "maximum": 5}), False, True),
    ("an exclusive bound", thing(a={**NUMBER, "minimum": 0}), thing(a={**NUMBER, "exclusiveMinimum": 0}), False, True),
    ("a length", thing(a=TEXT), thing(a={**TEXT, "maxLength": 5}), False, True),
    ("a pattern", thing(a=TEXT), thing(a={**TEXT, "pattern": "^x"}), False, True),
    ("a step", thing(a={**WHOLE, "multipleOf": 4}), thing(a={**WHOLE, "multipleOf": 2}), True, False),
    ("items", thing(a={"type": "array", "items": WHOLE}), thing(a={"type": "array", "items": NUMBER}), True, False),
    ("items at least", thing(a={"type": "array"}), thing(a={"type": "array", "minItems": 1}), False, True),
    ("unique items", thing(a={"type": "array"}), thing(a={"type": "array", "uniqueItems": True}), False, True),
    ("closed", thing(a=TEXT), {**thing(a=TEXT), "additionalProperties": False}, True, True),
    ("anything besides, then no more", {**thing(a=TEXT), "additionalProperties": True},
     {**thing(a=TEXT), "additionalProperties": False}, False, True),
    ("a property of a closed one more", {**thing(a=TEXT), "additionalProperties": False},
     {**thing(a=TEXT, b=TEXT), "additionalProperties": False}, True, False),
    ("one after the other", TREE, LARGER_TREE, True, False),
    ("a reference in place of what it says", thing(a=TEXT),
     {**thing(a={"$ref": "#/$defs/t"}), "$defs": {"t": TEXT}}, True, True),
    ("a condition", thing(a=TEXT), {**thing(a=TEXT), "not": {"required": ["z"]}}, False, True),
    ("the same condition", {**thing(a=TEXT), "not": {"required": ["z"]}},
     {**thing(a=TEXT, b=TEXT), "not": {"required": ["z"]}}, True, True),
    ("all of", {"allOf": [thing(a=TEXT), {"minProperties": 1}]}, thing(a=TEXT), True, False),
    ("a list at the root", {"type": "array", "items": TEXT}, thing(a=TEXT), False, False),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "backward", "forward"), [case[1:] for case in CASES], ids=[c[0] for c in CASES])
def test_what_may_follow(old: dict[str, Any], new: dict[str, Any], backward: bool, forward: bool) -> None:
    found = {mode: incompatible(old, new, 1, mode) for mode in ("NONE", "BACKWARD", "FORWARD", "FULL")}
    assert (not found["BACKWARD"], not found["FORWARD"]) == (backward, forward), found
    assert (not found["NONE"], not found["FULL"]) == (True, backward and forward)


def test_a_reason_names_place_and_versions() -> None:
    [problem] = incompatible(thing(a=listed("x", "y")), thing(a=listed("x")), 3, "BACKWARD")
    assert (problem.path, problem.message) == ("/properties/a", 'version 3 allows "y", the new version does not')


def test_reasons_are_few() -> None:
    names = tuple(f"p{number}" for number in range(50))
    assert len(incompatible(thing(), thing(names), 1, "BACKWARD")) == 20


@pytest.mark.parametrize("schema", [{"$ref": "#/$defs/none"}, {"$ref": "https://example.com/x"}, {"$ref": "#"}])
def test_a_reference_that_leads_nowhere_is_never_compatible(schema: dict[str, Any]) -> None:
    assert incompatible(schema, thing(a=TEXT), 1, "BACKWARD")


def test_what_is_said_to_fit_does() -> None:
    """Schemas and values by chance: a value of the narrower one is always one of the wider one."""
    chance, checked = random.Random(7), 0
    for _ in range(4_000):
        narrow, wide = (_schema(chance, 2) for _ in range(2))
        if contained(Side("a", narrow, narrow), Side("b", wide, wide)):
            continue
        ours, theirs = (jsonschema_rs.Draft202012Validator(one) for one in (narrow, wide))
        for value in (_value(chance, 2) for _ in range(40)):
            if ours.is_valid(value):
                checked += 1
                assert theirs.is_valid(value), (narrow, wide, value)
    assert checked > 1_000


def _schema(chance: random.Random, depth: int) -> dict[str, Any]:
    kind = chance.choice(
        ["enum", "const", "type", "type", "any", "all", "object", "object", "array"][: 9 if depth else 4]
    )
    match kind:
        case "enum":
            return {"enum": chance.sample([1, 2.5, "x", "yy", None, True], 3)}
        case "const":
            return {"const": chance.choice([1, "x", None])}
        case "any":
            return {"anyOf": [_schema(chance, depth - 1) for _ in range(2)]}
        case "all":
            return {"allOf": [_schema(chance, depth - 1) for _ in range(2)]}
        case "object":
            return _object(chance, depth)
        case "array":
            return {"type": "array", "items": _schema(chance, depth - 1), "maxItems": chance.randint(1, 3)}
    bounds = {"minimum": chance.randint(0, 3), "maxLength": chance.randint(1, 3), "multipleOf": chance.choice([1, 2])}
    some = dict(chance.sample(sorted(bounds.items()), chance.randint(0, 2)))
    return {"type": chance.choice(["string", "integer", "number", ["string", "null"]]), **some}


def _object(chance: random.Random, depth: int) -> dict[str, Any]:
    names = chance.sample(["a", "b", "c"], 2)
    # closed or open by word: an open one that says nothing is taken at its word, which no validator does
    return {
        "type": "object",
        "properties": {name: _schema(chance, depth - 1) for name in names},
        "required": names[: chance.randint(0, 2)],
        "additionalProperties": chance.choice([True, False, {"type": "string"}]),
    }


def _value(chance: random.Random, depth: int) -> Any:
    kinds = [1, 2, 2.5, 0, "x", "yy", "zzzz", None, True, {}, []]
    value = chance.choice(kinds)
    if depth and value == {}:
        return {name: _value(chance, depth - 1) for name in chance.sample(["a", "b", "c"], chance.randint(0, 3))}
    if depth and value == []:
        return [_value(chance, depth - 1) for _ in range(chance.randint(0, 3))]
    return value
