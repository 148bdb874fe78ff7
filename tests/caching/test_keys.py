"""Requests share a cached answer only if nothing that shapes the answer differs."""

from typing import Any

import pytest

from domain.caching.keys import cache_key

ASKED: dict[str, Any] = {
    "tenant": "acme",
    "model": "fast",
    "messages": [{"role": "user", "content": "Where is my parcel?"}],
    "parameters": {"temperature": 0, "max_tokens": 10},
    "provider_options": {},
    "schema": {"type": "object", "required": ["a"]},
}


def key(**changes: Any) -> str:
    return cache_key(**(ASKED | changes))


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "other"},
        {"model": "smart"},
        {"messages": [{"role": "user", "content": "Where is my order?"}]},
        {"messages": [{"role": "system", "content": "Where is my parcel?"}]},
        {"parameters": {"temperature": 1, "max_tokens": 10}},
        {"provider_options": {"tools": []}},
        {"schema": None},
        {"schema": {}},
    ],
)
def test_any_difference_makes_another_key(change: dict[str, Any]) -> None:
    assert key(**change) != key()


def test_the_order_of_object_keys_does_not_matter() -> None:
    assert key(parameters={"max_tokens": 10, "temperature": 0}) == key()
    assert key(schema={"required": ["a"], "type": "object"}) == key()


def test_the_tenant_comes_first_so_that_tenants_never_meet() -> None:
    assert key().startswith("acme:")
    assert key().split(":")[1] == key(tenant="other").split(":")[1]
