"""When a call is slow, and how many may have a second one beside it."""

import pytest

from domain.errors import InvalidSettings
from domain.routing.catalogue import Catalogue
from domain.routing.hedging import HedgeBudget, quantile

TEXT = """
price_version: "1"
providers: {one: {base_url: "http://127.0.0.1:1/v1"}}
models:
  - {provider: one, model: a, price: {input: 1, output: 2}}
  - {provider: one, model: b, price: {input: 1, output: 2}}
aliases: {fast: %s, smart: [one/a]}
"""


def hedge(alias: str) -> int | None:
    return Catalogue.load(TEXT % alias, {}).route("fast").hedge


def test_it_is_off_unless_an_alias_says_when() -> None:
    assert hedge("[one/a, one/b]") is None
    assert hedge("{models: [one/a, one/b], hedge: {}}") == 95
    assert hedge("{strategy: fastest, models: [one/a, one/b], hedge: {after: p99}}") == 99


@pytest.mark.parametrize("alias", ["{models: [one/a], hedge: {}}", "{models: [one/a, one/b], hedge: {after: p20}}"])
def test_a_wrong_hedge_is_refused_at_start(alias: str) -> None:
    with pytest.raises(InvalidSettings, match="hedge"):
        hedge(alias)


def test_slow_is_what_few_answers_took() -> None:
    took = [n / 100 for n in range(100, 0, -1)]
    assert [quantile(took, percent) for percent in (90, 95, 99)] == [0.90, 0.95, 0.99]
    assert quantile([0.1] * 19, 95) is None


def test_at_no_moment_are_there_more_than_one_in_twenty() -> None:
    budget, seconds = HedgeBudget(), 0
    for calls in range(1, 10_001):
        budget.earn()
        seconds += budget.spend()
        assert seconds <= calls / 20
    assert seconds == 500


def test_what_was_saved_is_bounded_and_what_was_not_made_comes_back() -> None:
    budget = HedgeBudget()
    for _ in range(10_000):
        budget.earn()
    assert [budget.spend() for _ in range(11)] == [True] * 10 + [False]
    budget.give_back()
    assert [budget.spend(), budget.spend()] == [True, False]
