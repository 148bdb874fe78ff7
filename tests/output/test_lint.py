"""A schema says nowhere less than what its provider will do with it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.output.dialect import ask
from domain.output.lint import MAX_WARNINGS, lint
from domain.output.schema import compile as compile_schema
from domain.routing.model import Deployment, Price

OPENAI = Deployment("o/m", "o", "m", "openai", "http://o", Price("1", Decimal(1), Decimal(1)))
ANTHROPIC = replace(OPENAI, dialect="anthropic")


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def warned(schema: dict[str, Any], deployment: Deployment = OPENAI) -> list[tuple[str, str]]:
    return [(one.path, one.message) for one in lint(compile_schema(schema), deployment)]


@pytest.mark.parametrize("deployment", [OPENAI, ANTHROPIC])
def test_a_schema_that_is_enforced_whole_has_no_warning(deployment: Deployment) -> None:
    schema = closed(label={"enum": ["a"]}, at={"type": "string", "format": "date"}, more=closed(x={"type": "null"}))
    assert warned({**schema, "$comment": "x", "title": "y"}, deployment) == []


@pytest.mark.parametrize(
    ("deployment", "places"),
    [(OPENAI, ["/properties/why/maxLength"]), (ANTHROPIC, ["/properties/n/minimum", "/properties/why/maxLength"])],
)
def test_bounds_that_are_only_told_are_named_by_place(deployment: Deployment, places: list[str]) -> None:
    schema = closed(n={"type": "integer", "minimum": 1}, why={"type": "string", "maxLength": 9})
    assert warned(schema, deployment) == [(place, "is told to the model, not enforced") for place in places]


@pytest.mark.parametrize(
    ("schema", "path", "says"),
    [
        ({"type": "object", "properties": {"a": {"type": "null"}}}, "", "the object is open"),
        ({**closed(a={"type": "null"}), "required": []}, "", "not all properties are required: a"),
        (closed(a={}), "/properties/a", "says nothing of its type"),
        (closed(a={"type": "string", "not": {"const": ""}}), "/properties/a/not", "cannot be enforced"),
        (closed(a={"type": "array", "items": {"oneOf": [{}]}}), "/properties/a/items/oneOf", "cannot be enforced"),
        ({**closed(a={"$ref": "#/$defs/a~1b", "maxLength": 1}), "$defs": {"a/b": {}}}, "/properties/a", "$ref"),
    ],
)  # fmt: skip
def test_what_makes_the_whole_schema_a_wish_is_named_by_place(schema: dict[str, Any], path: str, says: str) -> None:
    first, *rest = warned(schema)
    assert first == ("", "is passed on as a wish only, of which nothing is enforced: see the places below")
    assert any(place == path and says in message for place, message in rest)


@pytest.mark.parametrize(
    ("schema", "change", "says"),
    [
        ({"type": "array"}, {}, "its root is not of type object"),
        (closed(), {"structured": "none"}, "takes no schema"),
        (closed(), {"structured": "json_object"}, "enforces JSON, not the schema"),
        (closed(), {"structured": "tool"}, "a tool's parameters"),
        (closed(a={"type": "array", "items": {"$ref": "#"}}), {"dialect": "anthropic"}, "it refers to itself"),
    ],
)
def test_what_no_rewriting_of_a_place_would_help_is_said_once(
    schema: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    ((path, message),) = warned(schema, replace(OPENAI, **change))
    assert path == ""
    assert says in message


SCHEMAS: list[dict[str, Any]] = [
    closed(), closed(a={"type": "string"}), closed(a={}), closed(a=True), {"type": "object"}, {"type": "array"}, {},
    closed(a={"anyOf": [{"type": "null"}, closed()]}), closed(a={"allOf": [{}]}), closed() | {"anyOf": [{"const": 1}]},
    closed(a={"enum": [*range(1001)]}), closed() | {"patternProperties": {"a": {}}}, closed(a={"type": ["object"]}),
    closed(a={"type": "string", "format": "uri"}), closed(a={"$ref": "#/$defs/x"}) | {"$defs": {"x": closed(b={})}},
]  # fmt: skip


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize("deployment", [OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def test_the_lint_and_the_dialect_never_disagree(schema: dict[str, Any], deployment: Deployment) -> None:
    """It calls a schema a wish exactly where the dialect does not ask the provider to enforce it."""
    fields = ask(deployment, compile_schema(schema), []).fields
    form = fields.get("response_format", {}).get("json_schema", {})
    enforced = form.get("strict", False) or "output_config" in fields
    wishes = [message for path, message in warned(schema, deployment) if path == "" and "is passed on" in message]
    assert enforced is not bool(wishes or "its root is not" in str(warned(schema, deployment)))


def test_warnings_are_bounded() -> None:
    many = closed(**{f"p{n}": {"type": "string", "maxLength": 1} for n in range(50)})
    assert len(warned(many)) == MAX_WARNINGS
