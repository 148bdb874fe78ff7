"""An invalidation gives the answers in its scope other keys, and leaves all others as they are (rule L13)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.caching.generations import Generations, Scope, invalidation, schema_name
from topics.call import PromptCall
from topics.codec import encode

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCHEMA = {"type": "object", "required": ["a"]}
HEX = "0" * 64


def call(**more: Any) -> PromptCall:
    facts: dict[str, Any] = {
        "tenant": "acme",
        "model": "fast",
        "cache_key": f"{more.get('tenant', 'acme')}:{HEX}",
        "template": {"name": "sentiment", "version": 2},
        "output_schema": SCHEMA,
        "tags": {"team": "support"},
        **more,
    }
    at = "2026-01-01T00:00:00.000Z"
    return PromptCall(id="r1", lane="standard", messages=[], request_hash="", submitted_at=at, **facts)


def heard(*scopes: Scope, tenant: str = "acme") -> Generations:
    known = Generations(lambda alias: ["openai/gpt"] if alias == "fast" else [])
    for number, scope in enumerate(scopes):
        assert known.hear(encode(invalidation(tenant, scope, f"g{number}", NOON)))
    return known


@pytest.mark.parametrize(
    ("scope", "outside"),
    [
        (Scope("tenant"), {"tenant": "globex"}),
        (Scope("key", HEX), {"cache_key": "acme:" + "1" * 64}),
        (Scope("template", "sentiment"), {"template": {"name": "intent", "version": 2}}),
        (Scope("template", "sentiment@2"), {"template": {"name": "sentiment", "version": 1}}),
        (Scope("template", "sentiment"), {"template": None}),
        (Scope("schema", schema_name(SCHEMA)), {"output_schema": {"type": "object"}}),
        (Scope("schema", schema_name(SCHEMA)), {"output_schema": None}),
        (Scope("model", "fast"), {"model": "smart"}),
        (Scope("model", "openai/gpt"), {"model": "smart"}),
        (Scope("tag", "team=support"), {"tags": {"team": "sales"}}),
        (Scope("tag", "team"), {"tags": {}}),
    ],
)
def test_L13_what_is_in_the_scope_has_another_key_and_nothing_else(scope: Scope, outside: dict[str, Any]) -> None:
    known = heard(scope)
    assert known.key(call()) not in (None, call().cache_key)
    assert known.key(call(**outside)) == call(**outside).cache_key
    assert known.key(call(tenant="globex")) == f"globex:{HEX}"


def test_L13_each_invalidation_makes_yet_another_key_whichever_scope_it_names() -> None:
    one = heard(Scope("template", "sentiment"))
    two = heard(Scope("template", "sentiment"), Scope("tag", "team"))
    three = heard(Scope("template", "sentiment"), Scope("tag", "team"), Scope("template", "sentiment"))
    assert len({known.key(call()) for known in (Generations(), one, two, three)}) == 4
    assert (one.key(call()) or "").startswith(f"acme:{HEX}.")


def test_L13_processes_that_heard_the_same_have_the_same_keys() -> None:
    scopes = [Scope("template", "sentiment"), Scope("model", "fast"), Scope("tag", "team")]
    messages = [encode(invalidation("acme", scope, scope.kind, NOON)) for scope in scopes]
    one, two = Generations(), Generations()
    for message in messages:
        one.hear(message)
    for message in reversed(messages):
        two.hear(message)
    assert one.key(call()) == two.key(call())


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"type":"key.revoked","data":{}}',
        b'{"type":"cache.invalidate","data":{"kind":"all"}}',
    ],
)
def test_what_says_nothing_about_the_cache_changes_nothing(message: bytes) -> None:
    known = Generations()
    assert not known.hear(message)
    assert known.key(call()) == call().cache_key


def test_a_request_without_a_key_has_none() -> None:
    assert heard(Scope("tenant")).key(call(cache_key=None)) is None


def test_a_schema_is_named_by_what_it_says() -> None:
    assert schema_name({"b": 1, "a": 2}) == schema_name({"a": 2, "b": 1}) != schema_name({"a": 2})
