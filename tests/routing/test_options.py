"""What price, budget and cache depend on cannot be changed through provider_options."""

import pytest

from domain.errors import InvalidRequest
from domain.routing.options import check


def test_a_providers_own_options_pass() -> None:
    check({"tools": [], "tool_choice": "auto", "user": "u"})


def test_ours_are_refused_with_what_to_use() -> None:
    with pytest.raises(InvalidRequest) as caught:
        check({"model": "dear", "top_k": 1, "max_tokens": 9})
    assert {problem.path for problem in caught.value.problems} == {
        "/provider_options/model",
        "/provider_options/max_tokens",
    }
    assert "parameters.max_tokens" in caught.value.problems[1].message


def test_L12_a_tier_above_the_price_that_budgets_hold_is_refused_and_a_cheaper_one_passes() -> None:
    check({"service_tier": "flex"})
    with pytest.raises(InvalidRequest, match=r"/provider_options/service_tier priority is sold above"):
        check({"service_tier": "priority"})
