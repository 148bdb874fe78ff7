"""What came back has exactly one outcome, and a re-ask says no more than what is wrong."""

from typing import Any

import pytest

from domain.errors import Problem
from domain.output import reask
from domain.output.schema import compile as compile_schema
from domain.output.verdict import judge
from domain.routing.model import ModelReply, Tokens

SCHEMA = compile_schema({"type": "object", "required": ["a"]})


def reply(text: str, finish: str = "stop", refusal: str | None = None) -> ModelReply:
    return ModelReply(text, finish, Tokens(), refusal=refusal)


@pytest.mark.parametrize(
    ("given", "outcome", "value"),
    [
        (reply('{"a": 1}'), "ok", {"a": 1}),
        (reply('{"a": 1}', "tool_calls"), "ok", {"a": 1}),
        (reply('{"b": 1}'), "invalid_output", None),
        (reply("Sure!"), "invalid_output", None),
        (reply(" "), "invalid_output", None),
        (reply('{"a": ', "length"), "length", None),
        (reply("", "refusal", "I cannot"), "refused", None),
        (reply('{"a": 1}', "content_filter"), "refused", None),
        (reply("", "stop", "I cannot"), "refused", None),
    ],
)
def test_a_reply_has_one_outcome(given: ModelReply, outcome: str, value: Any) -> None:
    verdict = judge(given, SCHEMA)
    assert (verdict.outcome, verdict.value) == (outcome, value)
    assert bool(verdict.problems) is (outcome != "ok")


@pytest.mark.parametrize(
    ("given", "outcome", "value"),
    [
        (reply("Hello"), "ok", "Hello"),
        (reply(""), "invalid_output", None),
        (reply("Hel", "length"), "length", "Hel"),
    ],
)
def test_without_a_schema_the_text_is_the_answer(given: ModelReply, outcome: str, value: Any) -> None:
    verdict = judge(given, None)
    assert (verdict.outcome, verdict.value) == (outcome, value)


def test_a_re_ask_quotes_the_answer_and_names_the_places() -> None:
    asked = [{"role": "user", "content": "?"}]
    said = reask.messages(asked, '{"a": "x"}', [Problem("/a", "is not a number"), Problem("", "has too few members")])
    assert said[:2] == [*asked, {"role": "assistant", "content": '{"a": "x"}'}]
    assert "- /a: is not a number\n- the whole answer: has too few members" in said[2]["content"]
    assert len(asked) == 1


def test_a_re_ask_stays_small() -> None:
    said = reask.messages([], "x" * 100_000, [Problem(f"/{n}", "wrong") for n in range(20)])
    assert len(said[0]["content"]) == reask.MAX_QUOTED
    assert "and 10 more" in said[1]["content"]


def test_an_empty_answer_is_quoted_as_none() -> None:
    assert reask.messages([], " ", [Problem("", "is empty")])[0]["content"] == "(no answer)"
