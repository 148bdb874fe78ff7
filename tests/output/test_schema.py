"""A schema is understood before it costs anything, and an answer is valid or says where it is not."""

import time
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.output.schema import MAX_PROBLEMS, OutputSchema
from domain.output.schema import compile as compile_schema

LABEL = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels // 2):
        schema = {"properties": {"a": schema}}
    return schema


def doubling(word: str, levels: int) -> dict[str, Any]:
    defs: dict[str, Any] = {f"d{i}": {word: [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": defs | {f"d{levels}": {"type": "integer"}}}


def refusal(schema: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        compile_schema(schema)
    assert caught.value.code == "invalid_request"
    return caught.value.problems[0].path, caught.value.problems[0].message


def problems(schema: OutputSchema, text: str) -> dict[str, str]:
    return {problem.path: problem.message for problem in schema.check(text).problems}


@pytest.mark.parametrize(
    ("schema", "path", "message"),
    [
        ({"type": "strin"}, "/output_schema/type", '"strin" is not valid'),
        ({"properties": {"a": {"minLength": -1}}}, "/output_schema/properties/a/minLength", "less than the minimum"),
        ({"$ref": "http://127.0.0.1:9/x"}, "/output_schema/$ref", "never fetched"),
        ({"properties": {"a/b": {"$ref": "file:///etc/passwd"}}}, "/output_schema/properties/a~1b/$ref", "never"),
        ({"items": {"$dynamicRef": "other.json"}}, "/output_schema/items/$dynamicRef", "never fetched"),
        ({"$ref": "#/$defs/a"}, "/output_schema/$ref", "leads nowhere"),
        ({"$ref": "#a", "$defs": {"a": {"$anchor": "a"}}}, "/output_schema/$ref", "names an anchor"),
        ({"$ref": "#"}, "/output_schema/$ref", "refers to itself"),
        ({"anyOf": [{"not": {"$ref": "#"}}]}, "/output_schema/anyOf/0/not/$ref", "refers to itself"),
        ({"items": {"$id": "http://a/b"}}, "/output_schema/items/$id", "only the whole schema"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "/output_schema/$schema", "draft 2020-12"),
        ({"pattern": "(?=a)b"}, "/output_schema/pattern", "no lookaround"),
        ({"pattern": r"(a)\1"}, "/output_schema/pattern", "no back-references"),
        ({"pattern": "((a{1000}){1000}){1000}"}, "/output_schema/pattern", "no huge repeats"),
        ({"patternProperties": {"(?!a)": {}}}, "/output_schema/patternProperties/(?!a)", "no lookaround"),
        ({"anyOf": [{"pattern": str(i)} for i in range(51)]}, "/output_schema/anyOf/50", "more than 50 patterns"),
        (nested(70), "/output_schema", "deeper than 64"),
        (nested(5000), "/output_schema", "deeper than 64"),
        ({"enum": ["x" * 70_000]}, "/output_schema", "larger than 64 KiB"),
        (doubling("allOf", 30), "/output_schema/$ref/allOf/", "grows beyond"),
        (doubling("anyOf", 30), "/output_schema/$ref/anyOf/", "grows beyond"),
        ({"const": 1, "x": object()}, "/output_schema", "is not JSON"),
    ],
)
def test_a_schema_that_cannot_be_used_is_refused_with_the_place(
    schema: dict[str, Any], path: str, message: str
) -> None:
    where, why = refusal(schema)
    assert where.startswith(path)
    assert message in why


def test_a_chain_of_references_is_bounded() -> None:
    defs: dict[str, Any] = {f"d{i}": {"$ref": f"#/$defs/d{i + 1}"} for i in range(200)}
    assert "chains more than 128" in refusal({"$ref": "#/$defs/d0", "$defs": defs | {"d200": {}}})[1]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        LABEL,
        nested(60),
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://example.com/mine", "type": "null"},
        {"type": "object", "properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}},
        {"const": {"$ref": "http://example.com"}},
        {"$defs": {"tree": {"type": "object", "properties": {"kids": {"items": {"$ref": "#/$defs/tree"}}}}}},
        {"properties": {"next": {"$ref": "#"}}},
        {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "integer"}}},
        doubling("allOf", 10),
    ],
)
def test_a_usable_schema_compiles(schema: dict[str, Any]) -> None:
    assert compile_schema(schema).schema == schema


def test_equal_schemas_are_compiled_once() -> None:
    turned = dict(reversed(LABEL.items()))
    assert compile_schema(turned) is compile_schema(LABEL)
    assert compile_schema({}) is not compile_schema(LABEL)


def test_a_valid_answer_is_its_value() -> None:
    checked = compile_schema(LABEL).check(' {"label": "good"}\n')
    assert (checked.ok, checked.value) == (True, {"label": "good"})


def test_null_can_be_a_valid_answer() -> None:
    checked = compile_schema({"type": "null"}).check("null")
    assert (checked.ok, checked.value) == (True, None)


@pytest.mark.parametrize(
    "text",
    [
        "", "Sure! {}", '{"label": "good"} {}', "```json\n{}\n```", "{'label': 'good'}", '{"label": "good",}',
        '{"label": NaN}', '{"label": "go', "\ud800", '"\\ud800"', "[" * 5000,
    ],
)  # fmt: skip
def test_what_is_not_json_says_so(text: str) -> None:
    assert problems(compile_schema(LABEL), text)[""].startswith("is not JSON")


def test_problems_point_into_the_answer() -> None:
    schema = compile_schema({"properties": {"a/b": {"items": {"type": "integer"}}}, "required": ["c"]})
    assert problems(schema, '{"a/b": [1, "2"]}') == {
        "/a~1b/1": '"2" is not of type "integer"',
        "": '"c" is a required property',
    }


def test_problems_are_few_and_short() -> None:
    found = compile_schema({"items": {"enum": ["a"]}}).check(orjson.dumps(["x" * 1_000] * 100).decode()).problems
    assert len(found) == MAX_PROBLEMS
    assert all(len(problem.message) < 300 for problem in found)


def test_a_large_wrong_answer_is_explained_by_its_first_problem() -> None:
    text = orjson.dumps(list(range(100_000))).decode()
    found = compile_schema({"items": {"type": "string"}}).check(text).problems
    assert [problem.path for problem in found] == ["/0"]


def test_an_answer_deeper_than_64_levels_is_refused() -> None:
    assert compile_schema({}).check("[" * 64 + "]" * 64).ok
    assert "deeper than 64" in problems(compile_schema({}), "[" * 65 + "]" * 65)[""]


def quick(schema: dict[str, Any], text: str) -> bool:
    """Whether the check ends; without its bound each of these takes minutes to millennia."""
    compiled, started = compile_schema(schema), time.perf_counter()
    compiled.check(text)
    return time.perf_counter() - started < 2


def test_an_exploding_pattern_cannot_hang() -> None:
    assert quick({"pattern": "^(a+)+$"}, orjson.dumps("a" * 50_000 + "b").decode())


@pytest.mark.parametrize("word", ["anyOf", "allOf", "oneOf"])
def test_a_schema_that_recurses_twice_cannot_hang(word: str) -> None:
    twice = [{"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"], "title": t} for t in "xy"]
    assert quick({word: [{"type": "integer"}, *twice]}, '{"a":' * 60 + '"no"' + "}" * 60)


def test_a_plain_tree_is_explained_at_any_depth() -> None:
    tree = {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}}
    found = problems(compile_schema(tree), '{"kids":[' * 20 + "5" + "]}" * 20)
    assert found == {"/kids/0" * 20: '5 is not of type "object"'}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(),
        lambda c: st.lists(c) | st.dictionaries(st.text(), c),
    )
)
def test_every_json_is_valid_against_the_empty_schema(value: Any) -> None:
    assert compile_schema({}).check(orjson.dumps(value).decode()).value == value


@given(st.text())
def test_no_text_makes_the_check_raise(text: str) -> None:
    checked = compile_schema(LABEL).check(text)
    assert checked.ok == (not checked.problems)
