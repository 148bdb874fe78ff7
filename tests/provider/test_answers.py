"""What the simulated provider says: valid for any schema, and sensible."""

import itertools
import re
from typing import Any

import jsonschema_rs
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.output import schema as output
from domain.output import strict
from domain.output.dialect import instruct
from ops.local.provider.answers import answering
from ops.local.provider.answers.reading import Reading
from ops.local.provider.calls import Dialect, parse
from ops.local.provider.schemas.filler import Filler, InvalidSchema
from ops.local.provider.schemas.patterns import sample

TEXT = "Anna Keller from Nordlicht Energy paid €49.90 on 12 March 2026. Parcel ORD-981 arrived late, I am disappointed."

_bounds = st.integers(-50, 50)
_names = st.sampled_from(["label", "score", "entities", "summary", "type", "tags", "x", "order_id", "urgent"])


def _sized(kind: str, low: str, high: str, most: int) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(st.integers(0, most), st.integers(0, most)).map(sorted)
    return st.one_of(
        st.just({"type": kind}),
        pairs.map(lambda pair: {"type": kind, low: pair[0], high: pair[1]}),
        pairs.map(lambda pair: {"type": kind, high: pair[1]}),
    )


def _numbers(kind: str) -> st.SearchStrategy[dict[str, Any]]:
    pairs = st.tuples(_bounds, st.integers(3, 40))
    return st.one_of(
        st.just({"type": kind}),
        pairs.map(lambda pair: {"type": kind, "minimum": pair[0], "maximum": pair[0] + pair[1]}),
        pairs.map(lambda pair: {"type": kind, "exclusiveMinimum": pair[0], "exclusiveMaximum": pair[0] + pair[1]}),
        _bounds.map(lambda low: {"type": kind, "minimum": low, "multipleOf": 7}),
    )


_formats = st.sampled_from(
    [
        "date",
        "time",
        "date-time",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uri",
        "uuid",
        "regex",
        "json-pointer",
    ]
).map(lambda name: {"type": "string", "format": name})
_patterns = st.sampled_from(
    [
        r"^[A-Z]{3}-\d{4}$",
        r"^(yes|no)$",
        r"^[^\s@]+@[^\s@]+\.[a-z]{2,}$",
        r"\d+",
        r"^[a-z]+(?:-[a-z]+)*$",
        r"^\+?[0-9 ]{7,15}$",
    ]
).map(lambda pattern: {"type": "string", "pattern": pattern})
_scalars = st.one_of(
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({}),
    _numbers("integer"),
    _numbers("number"),
    _sized("string", "minLength", "maxLength", 60),
    _formats,
    _patterns,
    st.lists(st.one_of(st.text(max_size=5), _bounds, st.none()), min_size=1, max_size=4).map(lambda v: {"enum": v}),
    st.one_of(_bounds, st.text(max_size=5), st.booleans()).map(lambda value: {"const": value}),
    st.just({"type": ["string", "null"]}),
)


def _objects(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    def build(properties: dict[str, Any], required: list[str], closed: bool) -> dict[str, Any]:
        names = [name for name in required if name in properties]
        return {"type": "object", "properties": properties, "required": names, "additionalProperties": not closed}

    return st.builds(
        build, st.dictionaries(_names, inner, max_size=4), st.lists(_names, unique=True, max_size=4), st.booleans()
    )


def _nested(inner: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    lengths = st.tuples(st.integers(0, 3), st.integers(0, 3))
    return st.one_of(
        _objects(inner),
        st.tuples(inner, lengths).map(
            lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1][0], "maxItems": sum(pair[1])}
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda branches: {"anyOf": branches}),
        inner.map(lambda schema: {"allOf": [schema, {}]}),
        inner.map(lambda schema: {"$defs": {"one": schema}}).map(
            lambda schema: {**schema, "anyOf": [*schema["$defs"].values()]}
        ),
    )


SCHEMAS = st.recursive(_scalars, _nested, max_leaves=8)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(schema=SCHEMAS)
def test_an_answer_is_valid_for_any_schema(schema: dict[str, Any]) -> None:
    answer = answering.value(schema, TEXT, "")
    jsonschema_rs.Draft202012Validator(schema, validate_formats=True).validate(answer)


HARD = {
    "references": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
                "required": ["name"],
            }
        },
        "$ref": "#/$defs/node",
    },
    "a tree": {
        "type": "object",
        "properties": {"children": {"type": "array", "minItems": 0, "items": {"$ref": "#"}}},
        "required": ["children"],
    },
    "exactly one": {"oneOf": [{"type": "integer"}, {"type": "number", "multipleOf": 0.5}]},
    "one of two objects": {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "a"}, "x": {"type": "integer"}},
                "required": ["kind", "x"],
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "b"}, "y": {"type": "string"}},
                "required": ["kind", "y"],
            },
        ]
    },
    "not": {
        "type": "string",
        "not": {"const": Reading(TEXT).title},
        "minLength": 1,
        "maxLength": 200,
        "enum": ["a", Reading(TEXT).title],
    },
    "if then else": {
        "type": "object",
        "properties": {"country": {"enum": ["DE", "US"]}, "code": {"type": "string"}},
        "required": ["country", "code"],
        "if": {"properties": {"country": {"const": "DE"}}},
        "then": {"properties": {"code": {"pattern": r"^\d{5}$"}}},
        "else": {"properties": {"code": {"pattern": r"^[A-Z]{2} \d{5}$"}}},
    },
    "folded allOf": {
        "allOf": [
            {"type": "object", "properties": {"a": {"minimum": 3}}},
            {"properties": {"a": {"type": "integer", "maximum": 4}}, "required": ["a"]},
        ]
    },
    "unique items": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
    "unique objects": {
        "type": "array",
        "items": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
        "minItems": 4,
        "uniqueItems": True,
    },
    "contains": {"type": "array", "items": {"type": "integer"}, "contains": {"minimum": 100}, "minContains": 2},
    "a tuple": {
        "type": "array",
        "prefixItems": [{"type": "string"}, {"type": "integer"}],
        "items": False,
        "minItems": 2,
    },
    "pattern properties": {
        "type": "object",
        "patternProperties": {"^x_[a-z]+$": {"type": "integer"}},
        "additionalProperties": False,
        "minProperties": 2,
    },
    "property names": {
        "type": "object",
        "propertyNames": {"pattern": "^[a-z]{2}$"},
        "minProperties": 1,
        "additionalProperties": {"type": "string"},
    },
    "dependent": {"type": "object", "properties": {"a": {"type": "string"}}, "dependentRequired": {"a": ["b"]}},
    "no bounds twice": {"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6},
    "a narrow gap": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.001},
    "a fractional step": {"type": "number", "multipleOf": 0.01, "minimum": 0.015},
    "nullable reference": {
        "$defs": {"p": {"type": "object", "properties": {"n": {"type": "string"}}, "required": ["n"]}},
        "anyOf": [{"$ref": "#/$defs/p"}, {"type": "null"}],
    },
    "sixty levels": None,
}
_deep: dict[str, Any] = {"type": "string"}
for _ in range(60):
    _deep = {"type": "object", "properties": {"x": _deep}, "required": ["x"]}
HARD["sixty levels"] = _deep


@pytest.mark.parametrize("name", HARD)
def test_an_answer_is_valid_for_hard_schemas(name: str) -> None:
    answer = answering.value(HARD[name], TEXT, "")
    jsonschema_rs.Draft202012Validator(HARD[name], validate_formats=True).validate(answer)


def test_a_remote_reference_is_refused_and_never_fetched() -> None:
    with pytest.raises(InvalidSchema):
        Filler({"$ref": "https://example.com/schema.json"})


def test_a_schema_that_allows_nothing_ends_without_an_answer() -> None:
    endless = {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}
    assert answering.value(endless, TEXT, "") is None
    assert answering.value({"allOf": [{"type": "string"}, {"type": "integer"}]}, TEXT, "") is None


@pytest.mark.parametrize("pattern", [r"^\d{3}-[a-f]+$", r"^(?:a|b){2,}$", r"^\w+\s\w+$", r"^[^a-z]$", r"(x)\1"])
def test_a_sample_matches_its_pattern(pattern: str) -> None:
    assert re.search(pattern, sample(pattern) or "") is not None


def test_the_same_call_gets_the_same_answer() -> None:
    schema = {
        "type": "object",
        "properties": {"summary": {"type": "string"}, "tags": {"type": "array", "items": {"type": "string"}}},
    }
    first, second = (answering.value(schema, TEXT, "") for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("I love it, works perfectly!", "positive"),
        ("Terrible, it broke on day one.", "negative"),
        ("The lamp is grey.", "neutral"),
        ("It is not good.", "negative"),
    ],
)
def test_sentiment_follows_the_lexicon(text: str, label: str) -> None:
    schema = {
        "type": "object",
        "properties": {"label": {"enum": ["positive", "negative", "neutral"]}},
        "required": ["label"],
    }
    assert answering.value(schema, f"Classify the sentiment:\n\n<text>{text}</text>", "") == {"label": label}


def test_entities_are_found_under_the_names_the_schema_gives_them() -> None:
    kind = {"enum": ["PERSON", "ORG", "MONEY", "DATE"]}
    item = {"type": "object", "properties": {"text": {"type": "string"}, "type": kind}, "required": ["text", "type"]}
    found = answering.value({"type": "object", "properties": {"entities": {"type": "array", "items": item}}}, TEXT, "")
    assert [(one["text"], one["type"]) for one in found["entities"]] == [
        ("Anna Keller", "PERSON"),
        ("Nordlicht Energy", "ORG"),
        ("€49.90", "MONEY"),
        ("12 March 2026", "DATE"),
    ]


def test_a_translation_is_made_into_the_language_asked_for() -> None:
    assert answering.text("Translate to Spanish: Good morning, the meeting starts.", "").startswith("Buenos días")


def test_json_mode_finds_the_schema_in_the_prompt() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    prompt = f"Use {{braces}} well. Answer as JSON of this schema: {str(schema).replace(chr(39), chr(34))}"
    assert answering.embedded_schema(prompt) == schema


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        {"type": "string", "maxLength": 20},
        {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "required": ["v"]}}},
    ],
)
@pytest.mark.parametrize("dialect", ["openai", "anthropic"])
def test_a_schema_that_only_the_instructions_give_is_answered(schema: dict[str, Any], dialect: Dialect) -> None:
    asked = instruct([{"role": "user", "content": "Where is my parcel?"}], output.compile(schema))
    system, turns = asked[0]["content"], asked[1:]
    body = {"system": system, "messages": turns} if dialect == "anthropic" else {"messages": asked}
    call = parse(orjson.dumps({"model": "m", **body}), dialect)
    assert call.schema == schema
    jsonschema_rs.Draft202012Validator(schema).validate(answering.value(call.schema, call.question, call.instructions))


def test_bounds_that_only_a_description_names_are_kept() -> None:
    schema = {
        "type": "object",
        "properties": {"why": {"type": "string", "minLength": 40, "maxLength": 60, "description": "The reason."}},
        "required": ["why"],
        "additionalProperties": False,
    }
    enforced = strict.openai(schema)
    assert enforced is not None
    assert "minLength" not in enforced["properties"]["why"]
    jsonschema_rs.Draft202012Validator(schema).validate(answering.value(enforced, "x", ""))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_salted_values_differ(count: int) -> None:
    made = answering.value(
        {"type": "array", "items": {"type": "string", "minLength": 3}, "minItems": count, "uniqueItems": True}, "x", ""
    )
    assert all(left != right for left, right in itertools.combinations(made, 2))
