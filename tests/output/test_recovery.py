"""What follows an answer that is not valid, decided from data alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from domain.output.recovery import Budget, Move, Used, move, raised, stronger
from domain.routing.model import Deployment, Price


def deployment(name: str, output: int) -> Deployment:
    return Deployment(f"p/{name}", "p", name, "openai", "http://p", Price("1", Decimal(1), Decimal(output)))


NOW = datetime(2026, 12, 31, tzinfo=UTC)
CHEAP, SAME, MIDDLE, DEAR = deployment("a", 1), deployment("b", 1), deployment("c", 5), deployment("d", 9)
ALIAS = (CHEAP, SAME, MIDDLE, DEAR)


@pytest.mark.parametrize(
    ("than", "expected"), [(CHEAP, MIDDLE), (SAME, MIDDLE), (MIDDLE, DEAR), (DEAR, None), (deployment("x", 0), None)]
)
def test_the_next_stronger_model_is_the_next_in_the_list_that_costs_more(
    than: Deployment, expected: Deployment | None
) -> None:
    assert stronger(ALIAS, than, NOW) == expected


def test_a_model_is_stronger_by_the_price_of_now() -> None:
    rises = replace(SAME, later_prices=((NOW, Price("2", Decimal(1), Decimal(3))),))
    alias = (CHEAP, rises, MIDDLE)
    assert [stronger(alias, CHEAP, at) for at in (NOW - timedelta(seconds=1), NOW)] == [MIDDLE, rises]


@pytest.mark.parametrize(
    ("outcome", "used", "expected"),
    [
        ("invalid_output", Used(), "re_ask"),
        ("invalid_output", Used(re_asks=2), "escalate"),
        ("invalid_output", Used(re_asks=2, escalated=True), None),
        ("invalid_output", Used(re_asks=0, escalated=True), None),
        ("length", Used(), "more_tokens"),
        ("length", Used(max_tokens=9), None),
        ("refused", Used(), None),
    ],
)
def test_each_is_tried_in_its_order_and_escalation_once_however_long_the_alias(
    outcome: str, used: Used, expected: Move | None
) -> None:
    assert move(outcome, Budget(re_asks=2), used, escalates=True) == expected


@pytest.mark.parametrize(
    ("most", "limit", "expected"),
    [(0, None, None), (4096, None, None), (5000, None, 5000), (99_999, None, 16_384), (99_999, 10, 40), (10, 10, None)],
)
def test_a_limit_is_raised_within_what_the_model_allows_or_not_at_all(
    most: int, limit: int | None, expected: int | None
) -> None:
    assert raised(replace(CHEAP, output_limit=most), limit) == expected


def test_what_a_request_does_not_name_stays_as_the_operator_set_it() -> None:
    operator = Budget(syntax=False, re_asks=4, escalate=False)
    assert operator.narrowed(None) == operator
    assert operator.narrowed({"re_asks": 0, "escalate": True}) == Budget(syntax=False, re_asks=0, escalate=True)
