"""Mending changes punctuation, never a word, and costs little whatever it is given."""

import re
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.output.mend import MAX_DEPTH, MAX_SIZE, mend
from domain.output.schema import compile as compile_schema
from domain.output.verdict import judge
from domain.routing.model import ModelReply, Tokens

SCHEMA = compile_schema({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('```json\n{"a": 1}\n```', [{"a": 1}]),
        ('```\n"good"\n```', ["good"]),
        ('Sure! Here it is:\n\n{"a": 1}\n\nAnything else?', [{"a": 1}]),
        ('<think>{a} or [b]?</think> {"a": 1}', [{"a": 1}]),
        ('{"a": [1, 2,],}', [{"a": [1, 2]}]),
        ('{"a": 1\n "b": 2}', [{"a": 1, "b": 2}]),
        ("{'a': 'say \"hi\"', b: True, c: None,}", [{"a": 'say "hi"', "b": True, "c": None}]),
        (r"""{"a": "it\'s"}""", [{"a": "it's"}]),
        ('{"a": "two\nlines\tand a tab"}', [{"a": "two\nlines\tand a tab"}]),
        ('{"a": 1, // one\n /* two */ "b": 2}', [{"a": 1, "b": 2}]),
        ('{"a": {"b": [1, {"c": "d"', [{"a": {"b": [1, {"c": "d"}]}}]),
        ('```json\n{"a": true\n```', [{"a": True}]),
        ('{"a": 1}{"a": 1}', [{"a": 1}]),
        ('{"a": 1} or [2]', [{"a": 1}, [2]]),
        ("\ufeff{a: 1}", [{"a": 1}]),
    ],
)
def test_punctuation_is_put_right(text: str, values: list[Any]) -> None:
    assert [orjson.loads(one) for one in mend(text)] == values


@pytest.mark.parametrize(
    "text",
    [
        '{"a": "cut in a str', '{"a": "', '{"a": 12', '{"a": tru', '{"a":', '{"a"', '{"a": "x",', '{"a": "x", "b"',
        "{", "[", '{"a": "an "unescaped" quote"}', '{"a": "one", "b": "two" "c": 3}', "{'a': 'it's'}", '{"a": [1, 2}',
        '{"a": NaN}', '{"a": 01}', '{"a": good}', '{"a": 1,, "b": 2}', '{"a": "x" and then prose', "no JSON here",
        "[see below]", "",
        '{"a": {"b": "broken here}, "c": {"a": 1}}',
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_left_alone(text: str) -> None:
    assert mend(text) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(st.sampled_from("ab{}[]\"',:\\ \n"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.sampled_from("ab'\""), max_size=3), inner),
    max_leaves=8,
)
ROOT = st.dictionaries(st.sampled_from("abcd"), JSON, min_size=1) | st.lists(JSON, min_size=1)


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for name, inner in value.items() for leaf in [name, *leaves(inner)]]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


@settings(max_examples=300, deadline=None)
@given(ROOT)
def test_what_is_right_comes_out_as_it_was(value: Any) -> None:
    (text,) = mend(orjson.dumps(value).decode())
    assert orjson.loads(text) == value


@settings(max_examples=300, deadline=None)
@given(ROOT, st.data())
def test_a_cut_answer_never_gets_a_word_it_did_not_say(value: Any, data: st.DataObject) -> None:
    whole = orjson.dumps(value).decode()
    at = data.draw(st.integers(1, len(whole)))
    said = leaves(value)
    for one in mend(whole[:at]):
        read = leaves(orjson.loads(one))
        assert read == said[: len(read)]


@settings(max_examples=500, deadline=None)
@given(st.text(st.sampled_from("ab1{}[]\"',:\\ \n-."), max_size=40))
def test_no_word_is_invented_or_lost_between_the_brackets(text: str) -> None:
    said = re.sub(r"\W", "", text)
    for one in mend(text):
        assert re.sub(r"\\n|\W", "", one) in said
        if "\\" not in text:
            orjson.loads(one)


PATHOLOGICAL = {
    "braces": "{" * 10**6,
    "brackets": "[" * 10**6,
    "open objects": '{"a":' * 10**5,
    "quotes": '{"a": "' + '"x' * 10**5,
    "backslashes": '{"a":"' + "\\" * 10**6,
    "comments": '{"a" ' + "/*" * 10**5,
    "commas": "[" + "," * 10**6,
    "ones": "[" + "1," * 10**6,
    "pairs": "[]" * 10**5,
    "fences": "```json\n" * 10**5,
    "line breaks": '["' + "\n" * 10**6 + '",]',
    "starts": ("{" + " " * 30) * 10**5,
}


@pytest.mark.parametrize("kind", PATHOLOGICAL)
def test_the_worst_text_ends_in_nothing_and_a_megabyte_is_not_looked_at(kind: str) -> None:
    text = PATHOLOGICAL[kind]
    assert len(text) > MAX_SIZE
    assert mend(text) == []
    assert mend(text[: MAX_SIZE - 1] + "?") == []


def test_depth_is_bounded() -> None:
    assert mend("[" * MAX_DEPTH + "1,]" + "]" * (MAX_DEPTH - 1))
    assert mend("[" * (MAX_DEPTH + 1) + "1,]" + "]" * MAX_DEPTH) == []


@pytest.mark.parametrize(
    ("text", "outcome", "value"),
    [
        ("{'a': 1}", "ok", {"a": 1}),
        ('{"a": 1} as in ["b"]', "ok", {"a": 1}),
        ('{"a": 1}\n{"a": 1}', "ok", {"a": 1}),
        ('{"a": 1}\n{"a": 2}', "invalid_output", None),
        ("{'a': 'b'}", "invalid_output", None),
        ('{"a": 1', "invalid_output", None),
    ],
)
def test_one_valid_value_is_the_answer_and_two_are_none(text: str, outcome: str, value: Any) -> None:
    verdict = judge(ModelReply(text, "stop", Tokens()), SCHEMA, mends=True)
    assert (verdict.outcome, verdict.value, verdict.repaired) == (outcome, value, outcome == "ok")


def test_a_mended_answer_that_breaks_the_schema_says_where() -> None:
    verdict = judge(ModelReply("{'a': 'b'}", "stop", Tokens()), SCHEMA, mends=True)
    assert [problem.path for problem in verdict.problems] == ["/a"]


@pytest.mark.parametrize("finish", ["length", "refusal", "content_filter"])
def test_what_was_cut_or_refused_is_not_mended(finish: str) -> None:
    assert judge(ModelReply('{"a": 1,}', finish, Tokens()), SCHEMA, mends=True).outcome != "ok"
