"""What a template allows of the semantic cache, where answers are kept, which hits are trusted."""

from dataclasses import replace
from typing import Any

import pytest

from domain.caching.semantic import (
    MAX_TEXT,
    PROOF,
    Check,
    Similar,
    Trust,
    agrees,
    asked_so,
    by_template,
    place,
    shares,
    similar,
)
from domain.errors import InvalidSettings
from domain.prompting.library import Library
from topics.call import PromptCall

RULES = Similar(vary=("text",))
SAID = {"text": "How do I pay?", "language": "en"}


@pytest.mark.parametrize(
    ("rules", "cache", "wanted"),
    [
        (None, "semantic", False),
        (RULES, "semantic", True),
        (RULES, "use", False),
        (RULES, "refresh", True),
        (RULES, "bypass", False),
        (replace(RULES, always=True), "use", True),
        (replace(RULES, always=True), "bypass", False),
    ],
)
def test_a_template_allows_it_and_a_request_asks_for_it(rules: Similar | None, cache: str, wanted: bool) -> None:
    assert asked_so(rules, cache) is wanted


def call(tenant: str = "acme", values: dict[str, Any] = SAID, *shape: Any) -> PromptCall:
    found = similar(RULES, values, *(shape or ("faq", 1, "fast")))
    template = {"name": "faq", "version": 1}
    return PromptCall(tenant, "a", "standard", "fast", [], "h", "t", similar=found, template=template)


def test_what_must_be_equal_makes_the_place() -> None:
    here = place(call(), "m")
    assert place(call(values={**SAID, "text": "Hello, how can I pay?"}), "m") == here
    others = [
        place(call(values={**SAID, "language": "de"}), "m"),
        place(call(values={**SAID, "text": "How do I pay back?"}), "m"),
        place(call("globex"), "m"),
        place(call("acme", SAID, "faq", 2, "fast"), "m"),
        place(call("acme", SAID, "faq", 1, "smart"), "m"),
        place(call(), "another model of embeddings"),
    ]
    assert len({here, *others}) == 7


@pytest.mark.parametrize("text", ["", None, 5, ["How do I pay?"], "x" * (MAX_TEXT + 1)])
def test_what_is_no_question_is_not_compared(text: Any) -> None:
    assert similar(RULES, {"text": text}, "faq") is None
    assert similar(RULES, {}, "faq") is None


def test_a_template_closes_above_its_limit_and_opens_after_its_proof() -> None:
    right, wrong = Check("acme", "faq", 1, True, 0.02), Check("acme", "faq", 1, False, 0.02)
    trust = Trust("acme", "faq", 1).after(wrong)
    assert not trust.closed  # one of the first fifty
    trust = trust.after(wrong)
    assert trust.closed
    needed = 0
    while trust.closed:
        trust, needed = trust.after(right), needed + 1
    assert needed >= PROOF
    assert trust.false_hit_rate <= 0.02
    assert trust.since == 0
    for _ in range(10 * PROOF):
        trust = trust.after(right)
    assert (trust.checked < 2 * PROOF, trust.wrong) == (True, 0)


def test_where_nothing_may_be_wrong_one_wrong_hit_closes() -> None:
    assert Trust("acme", "faq", 1).after(Check("acme", "faq", 1, False, 0.0)).closed
    assert not Trust("acme", "faq", 1).after(Check("acme", "faq", 1, True, 0.0)).closed


def test_versions_are_shown_together() -> None:
    found = by_template([Trust("acme", "faq", 1, 10, 5, True), Trust("acme", "faq", 2, 10), Trust("acme", "b", 1)])
    assert (found["faq"].checked, found["faq"].false_hit_rate, found["faq"].closed_versions) == (20, 0.25, [1])
    assert found["b"].false_hit_rate == 0.0


@pytest.mark.parametrize(
    ("known", "fresh", "compare", "wanted"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, (), True),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, (), False),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ("a",), True),
        ({"a": 1}, {"a": 2}, ("a",), False),
        ("Yes.", " Yes.\n", (), True),
        ("Yes.", "No.", ("a",), False),
        ([1], [1], ("a",), True),
    ],
)
def test_two_answers_agree_in_the_fields_that_count(known: Any, fresh: Any, compare: Any, wanted: bool) -> None:
    assert agrees(known, fresh, compare) is wanted


def test_the_tokens_of_a_call_are_dealt_to_its_texts() -> None:
    assert shares(10, ["aa", "bb", "c"]) == [4, 4, 2]
    assert sum(shares(7, ["a", "b", "c"])) == 7
    assert shares(3, [""]) == [0]


FILE = """
name: faq
version: 1
semantic: %s
variables: {text: {}}
messages: [{role: user, content: "{{ text }}"}]
"""


def test_a_template_file_says_it() -> None:
    library = Library.parse({"faq/1.yaml": FILE % "{vary: [text], always: true, compare: [label], wrong: 0}"})
    assert library.get("faq").similar == Similar(("text",), always=True, wrong=0.0, compare=("label",))


@pytest.mark.parametrize("wrong", ["{vary: [question]}", "{vary: []}", "{}", "true", "{vary: [text], similarity: 2}"])
def test_a_file_that_says_it_wrongly_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidSettings, match="semantic"):
        Library.parse({"faq/1.yaml": FILE % wrong})
