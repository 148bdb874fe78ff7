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
