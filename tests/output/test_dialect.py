"""A schema reaches each provider in the form that enforces most of it."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.output.dialect import ask
from domain.output.schema import compile as compile_schema
from domain.routing.model import Deployment, Price

ASKED = [{"role": "user", "content": "How do I feel?"}]
CLOSED = {
    "type": "object",
    "properties": {"label": {"enum": ["good", "bad"]}, "why": {"type": "string", "maxLength": 9}},
    "required": ["label", "why"],
    "additionalProperties": False,
}
OPEN = {"type": "object", "properties": {"label": {"type": "string"}}}
LIST = {"type": "array", "items": {"type": "string"}}
OPENAI = Deployment("o/m", "o", "m", "openai", "http://o", Price("1", Decimal(1), Decimal(1)))
ANTHROPIC = replace(OPENAI, dialect="anthropic")


def fields(deployment: Deployment, schema: dict[str, Any], **options: Any) -> dict[str, Any]:
    return ask(deployment, compile_schema(schema), ASKED, **options).fields


def instruction(deployment: Deployment, schema: dict[str, Any], **options: Any) -> str | None:
    head = ask(deployment, compile_schema(schema), ASKED, **options).messages[0]
    return head["content"] if head["role"] == "system" else None


def test_without_a_schema_nothing_is_asked_for() -> None:
    asked = ask(OPENAI, None, ASKED)
    assert (asked.messages, asked.fields) == (ASKED, {})


def test_openai_is_strict_where_the_schema_is_closed() -> None:
    form = fields(OPENAI, CLOSED)["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["why"] == {"type": "string", "description": "(maxLength: 9)"}


def test_openai_gets_an_open_schema_as_it_is() -> None:
    form = fields(OPENAI, OPEN)["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]) == (False, OPEN)
    assert instruction(OPENAI, OPEN) is None


@pytest.mark.parametrize(
    "change",
    [
        {"additionalProperties": True},
        {"required": ["label"]},
        {"allOf": [{}]},
        {"properties": {"label": {}, "why": {}}},
        {"properties": {"label": {"$ref": "#/$defs/a", "maxLength": 1}, "why": {"type": "null"}}, "$defs": {"a": {}}},
        {"anyOf": [{"type": "object", "additionalProperties": False}]},
    ],
)
def test_what_openai_cannot_enforce_is_not_strict(change: dict[str, Any]) -> None:
    assert fields(OPENAI, CLOSED | change)["response_format"]["json_schema"]["strict"] is False


def test_a_nested_closed_schema_is_strict_and_keeps_its_shape() -> None:
    nested = {
        "type": "object",
        "$defs": {"item": CLOSED},
        "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/item", "title": "Item"}, "minItems": 1}},
        "required": ["items"],
        "additionalProperties": False,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
    }
    form = fields(OPENAI, nested)["response_format"]["json_schema"]
    assert form["strict"] is True
    assert form["schema"]["properties"]["items"] == {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 1}


def test_a_json_object_goes_with_an_instruction() -> None:
    asked = replace(OPENAI, structured="json_object")
    assert fields(asked, CLOSED) == {"response_format": {"type": "json_object"}}
    assert '"maxLength":9' in (instruction(asked, CLOSED) or "")


def test_openai_can_be_asked_by_a_tool() -> None:
    form = fields(replace(OPENAI, structured="tool"), CLOSED)
    assert form["tools"][0]["function"]["parameters"] == CLOSED
    assert form["tool_choice"] == {"type": "function", "function": {"name": "answer"}}


def test_anthropic_enforces_a_closed_schema_itself() -> None:
    form = fields(ANTHROPIC, CLOSED)["output_config"]["format"]
    assert form["type"] == "json_schema"
    assert form["schema"]["properties"]["why"] == {"type": "string", "description": "(maxLength: 9)"}


@pytest.mark.parametrize("schema", [OPEN, CLOSED | {"properties": {"label": {"$ref": "#"}, "why": {"$ref": "#"}}}])
def test_anthropic_is_given_a_tool_for_any_other_object(schema: dict[str, Any]) -> None:
    form = fields(ANTHROPIC, schema)
    assert form["tools"][0]["input_schema"] == schema
    assert form["tool_choice"] == {"type": "tool", "name": "answer"}


def test_the_callers_tools_are_not_pushed_aside() -> None:
    assert fields(ANTHROPIC, OPEN, free_tools=False) == {}
    assert instruction(ANTHROPIC, OPEN, free_tools=False) is not None


@pytest.mark.parametrize("deployment", [OPENAI, ANTHROPIC])
def test_a_root_that_is_no_object_is_an_instruction(deployment: Deployment) -> None:
    assert fields(deployment, LIST) == {}
    assert '"type":"array"' in (instruction(deployment, LIST) or "")


def test_an_instruction_joins_the_system_text() -> None:
    said = [{"role": "system", "content": "Be kind."}, *ASKED]
    asked = ask(replace(OPENAI, structured="none"), compile_schema(LIST), said)
    assert len(asked.messages) == 2
    assert asked.messages[0]["content"].startswith("Be kind.\n\nAnswer with one JSON value")
    assert said[0]["content"] == "Be kind."
