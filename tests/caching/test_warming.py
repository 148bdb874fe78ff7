"""Answers that are known before somebody asks."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.caching.asked import warming
from domain.caching.entry import read
from domain.errors import InvalidRequest
from domain.forgetting.preload import entry
from topics.call import PromptCall
from topics.codec import check_request

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCHEMA = {"type": "object", "properties": {"label": {"enum": ["a", "b"]}}, "required": ["label"]}


def call(**more: Any) -> PromptCall:
    at = "2026-01-01T00:00:00.000Z"
    return PromptCall("acme", "r1", "bulk", "fast", [], "", at, **{"cache_key": "acme:1", **more})


def test_a_warming_request_asks_the_same_and_nothing_of_the_first_time() -> None:
    first = {
        "id": "order-1", "tenant": "acme", "prompt": "?", "lane": "interactive", "deadline": "2026-01-01T00:00:00.000Z",
        "callback_url": "https://a.example", "tags": {"team": "a"}, "subject": "u1", "metadata": {"x": 1},
        "rerun": True,
    }  # fmt: skip
    again = warming(first, "f" * 64, "20260101")
    assert again == {
        "id": f"warm-{'f' * 24}-20260101", "tenant": "acme", "prompt": "?", "lane": "bulk", "cache": "use",
        "tags": {"team": "a"}, "metadata": {"x": 1, "warm": True},
    }  # fmt: skip
    assert check_request(again, b"").request.lane == "bulk"
    assert warming({**first, "cache": "semantic"}, "f" * 64, "20260101")["cache"] == "semantic"
    assert warming({**first, "cache": "refresh"}, "f" * 64, "20260101")["cache"] == "use"


def test_a_valid_answer_is_kept_as_one_that_was_called_for() -> None:
    key, value, ttl = entry(call(output_schema=SCHEMA, cache_ttl_s=60), {"label": "a"}, 3_600, NOON)
    assert (key, ttl) == ("acme:1", 60)
    known = read(value)
    assert (known.output, known.provider, known.model, known.cost_usd) == ({"label": "a"}, "preloaded", "fast", "0")
    assert known.verdict(NOON.timestamp() + 59, 0.001) == "fresh"


@pytest.mark.parametrize(
    ("more", "output", "reason"),
    [
        ({"output_schema": SCHEMA}, {"label": "c"}, "breaks its schema"),
        ({}, {"label": "a"}, "no text"),
        ({"cache_key": None}, "x", "not kept"),
        ({"cache_ttl_s": 0}, "x", "not kept"),
    ],
)
def test_what_is_not_valid_or_not_kept_is_refused(more: dict[str, Any], output: Any, reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        entry(call(**more), output, 3_600, NOON)
