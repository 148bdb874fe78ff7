"""Periods, what a budget is charged with, what is left of it, and the worst case of a call."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.budgets.model import Budget, Over, Period, Reserve
from domain.budgets.rules import Account, Charged, admit, applies, ask_again_at, label, may_have_cost, span
from domain.errors import ModelError
from domain.pricing.cost import cost
from domain.pricing.worst import worst_case
from domain.routing.catalogue import Catalogue
from domain.routing.model import Tokens

NOW = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
SMALL = Catalogue.simulated("http://127.0.0.1:1/v1").resolve("fast")[0]


@pytest.mark.parametrize(
    ("period", "name", "start", "end"),
    [
        ("hour", "2026-12-31T23", datetime(2026, 12, 31, 23, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("day", "2026-12-31", datetime(2026, 12, 31, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ("month", "2026-12", datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_period_has_a_name_a_start_and_an_end(period: Period, name: str, start: datetime, end: datetime) -> None:
    assert label(period, NOW) == name
    assert span(period, name) == (start, end)


def test_a_period_is_named_by_the_time_in_utc() -> None:
    assert label("day", datetime.fromisoformat("2027-01-01T00:30:00+02:00")) == "2026-12-31"


def test_the_second_month_ends_where_the_third_begins() -> None:
    assert span("month", "2024-02")[1] == datetime(2024, 3, 1, tzinfo=UTC)


CALL = Charged("key_1", "sentiment", "fast", "openai", "openai/gpt-4o-mini")


@pytest.mark.parametrize(
    ("fields", "charged"),
    [
        ({}, True),
        ({"api_key_id": "key_1"}, True),
        ({"api_key_id": "key_2"}, False),
        ({"template": "sentiment", "model": "fast"}, True),
        ({"template": "entities", "model": "fast"}, False),
        ({"model": "openai/gpt-4o-mini"}, True),
        ({"model": "openai/*"}, True),
        ({"model": "openai/gpt-4o"}, False),
        ({"model": "smart"}, False),
    ],
)
def test_a_call_is_charged_to_the_budgets_that_match_all_of_it(fields: dict[str, Any], charged: bool) -> None:
    assert applies(Budget("acme", "b", Decimal(1), "day", **fields), CALL) is charged


def account(limit: Any, spent: Any = 0, held: Any = 0, period: Period = "day") -> Account:
    return Account("b", period, label(period, NOW), Decimal(limit), Decimal(spent), Decimal(held))


def test_what_fits_is_held_in_every_account() -> None:
    accounts = [account(1), account(2, spent=1)]
    assert admit(Reserve(Decimal(1), (1, 2)), accounts) is None
    assert [one.held_usd for one in accounts] == [1, 1]


def test_what_does_not_fit_somewhere_is_held_nowhere() -> None:
    accounts = [account(1), account(2, spent="1.5")]
    over = admit(Reserve(Decimal(1), (1, 2)), accounts)
    assert over is not None
    assert (over.left_usd, over.held, over.never) == (Decimal("0.5"), False, False)
    assert [one.held_usd for one in accounts] == [0, 0]


def test_of_several_short_budgets_the_one_that_is_free_last_is_told() -> None:
    over = admit(Reserve(Decimal(1), (1, 2)), [account(1, spent=1, period="month"), account(1, held=1)])
    assert over is not None
    assert (over.held, over.until) == (False, datetime(2027, 1, 1, tzinfo=UTC))


def over(held: bool) -> Over:
    return Over("b", Decimal(1), Decimal(1), Decimal(0), NOW + timedelta(minutes=30), held)


def test_what_is_spent_is_waited_for_until_the_next_period() -> None:
    assert ask_again_at(over(held=False), NOW, NOW) == NOW + timedelta(minutes=30)


@pytest.mark.parametrize(("waited", "pause"), [(0, 1), (20, 10), (3_600, 60)])
def test_what_is_held_is_asked_for_again_soon_and_less_and_less_often(waited: int, pause: int) -> None:
    assert ask_again_at(over(held=True), NOW, NOW - timedelta(seconds=waited)) == NOW + timedelta(seconds=pause)


@pytest.mark.parametrize(
    ("sent", "outcome", "status", "may"),
    [
        (False, "refused_connection", None, False),
        (True, "rate_limited", 429, False),
        (True, "error", 500, False),
        (True, "error", None, True),
        (True, "error", 200, True),
        (True, "timeout", None, True),
        (True, "timeout", 504, True),
    ],
)
def test_L12_a_call_of_which_nobody_knows_the_cost_keeps_its_money(
    sent: bool, outcome: str, status: int | None, may: bool
) -> None:
    assert may_have_cost(ModelError("", outcome=outcome, sent=sent, retryable=True, status=status)) is may


@pytest.mark.parametrize("text", ["plain", "Ünïcödé 漢字", "🙂" * 50, "\x07\x00", 'a "quoted" \\ line\n' * 20])
def test_L12_no_tokenizer_finds_more_tokens_than_the_worst_case_counts(text: str) -> None:
    messages = [{"role": "user", "content": text}]
    bound = worst_case(SMALL, messages, (None,), 100, NOW)
    assert bound >= cost(SMALL.price, Tokens(len(text.encode()) + 4, 100))


def test_the_worst_case_of_more_than_text_is_all_that_the_model_reads() -> None:
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a/b.png"}}]}]
    assert worst_case(SMALL, picture, (), 0, NOW) == cost(SMALL.price, Tokens(SMALL.context_tokens, 0))


PRICED = """
price_version: "1"
providers: {p: {base_url: "http://127.0.0.1:1/v1"}}
models:
  - provider: p
    model: m
    price:
      - {input: 1, output: 2}
      - {version: "2", valid_from: 2026-12-31T00:00:00Z, input: 2, output: 4, batch_discount: 0.5}
      - {version: "3", valid_from: 2027-01-01T00:00:00Z, input: 3, output: 6}
aliases: {fast: [p/m], smart: [p/m]}
"""


def test_a_call_is_sold_at_the_price_of_the_time_it_was_sent() -> None:
    (model,) = Catalogue.load(PRICED, {}).deployments
    moments = [NOW - timedelta(days=1), NOW, NOW + timedelta(hours=1)]
    assert [model.price_at(at).version for at in moments] == ["1", "2", "3"]
    tokens = Tokens(1_000_000, 1_000_000)
    assert [cost(model.price_at(at), tokens) for at in moments] == [3, 6, 9]
    assert cost(model.price_at(NOW), tokens, batch=True) == 3


@pytest.mark.parametrize(
    ("wrong", "right", "said"),
    [
        ("{input: 1, output: 2}", "{valid_from: 2026-01-01, input: 1, output: 2}", "valid_from"),
        ('{version: "3", ', "{", "version"),
        ("valid_from: 2027-01-01", "valid_from: 2025-01-01", "later valid_from"),
    ],
)
def test_prices_that_do_not_follow_each_other_are_refused(wrong: str, right: str, said: str) -> None:
    with pytest.raises(Exception, match=said):
        Catalogue.load(PRICED.replace(wrong, right), {})
