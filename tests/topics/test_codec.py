"""Whatever the bytes are, `read_request` answers with a request or with Unreadable."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.codec import REQUEST, result
from topics.base import format_money
from topics.codec import (
    MAX_BYTES,
    Tombstone,
    Unreadable,
    body_hash,
    encode,
    read_request,
    request_hash,
)
from topics.result import PromptResult

MINIMAL = {"id": "a-1", "tenant": "acme", "prompt": "hello"}


def refusal(value: bytes | dict) -> Unreadable:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(Unreadable) as caught:
        read_request(raw)
    assert caught.value.raw == raw
    assert 1 <= len(caught.value.problems) <= 20
    assert len(caught.value.reason) < 2_000
    assert "\0" not in caught.value.reason
    return caught.value


def nested(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_a_request_is_read_with_the_object_it_came_from():
    read = read_request(REQUEST)
    assert read.request.template is not None
    assert read.request.template.variables == read.fields["template"]["variables"]
    assert read.request.submitted_at == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_tombstone_has_its_own_signal():
    with pytest.raises(Tombstone):
        read_request(None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"[1]",
        b"null",
        b"\xff\xfe",
        b'{"id":"a","tenant":"t","prompt":"\xed\xa0\x80"}',
        b'{"id":"a","tenant":"t","prompt":"\\ud800"}',
        b'{"id":"a","tenant":"t","prompt":"\0"}',
        b'{"id":"a","metadata":{"x":NaN}}',
        b'{"id":"a","metadata":{"x":Infinity}}',
        b'{"id":"a","metadata":{"x":1e999}}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xef\xbb\xbf{}",
    ],
)
def test_what_is_not_a_json_object_is_unreadable(raw):
    assert refusal(raw).code == "unreadable"


def test_five_megabytes_are_too_large_before_anything_is_parsed():
    error = refusal(b'{"id":"big","tenant":"acme","prompt":"' + b"x" * 5_000_000 + b'"}')
    assert (error.code, error.id, error.tenant) == ("too_large", "big", "acme")
    assert refusal(b" " * (MAX_BYTES + 1)).code == "too_large"


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"promt": "x"}, "/promt"),
        ({"id": "a" * 256}, "/id"),
        ({"id": "a\n"}, "/id"),
        ({"id": 7}, "/id"),
        ({"tenant": "../etc"}, "/tenant"),
        ({"messages": [{"role": "user", "content": "x"}]}, ""),
        ({"prompt": None}, ""),
        ({"prompt": ""}, "/prompt"),
        ({"parameters": {"temprature": 1}}, "/parameters/temprature"),
        ({"parameters": {"seed": 10**30}}, "/parameters/seed"),
        ({"parameters": {"temperature": "hot"}}, "/parameters/temperature"),
        ({"metadata": [1]}, "/metadata"),
        ({"tags": {"bad name!": "x"}}, "/tags/bad name!"),
        ({"tags": {str(i): "x" for i in range(11)}}, "/tags"),
        ({"rerun": "yes"}, "/rerun"),
        ({"deadline": 1767225600}, "/deadline"),
        ({"deadline": "1767225600"}, "/deadline"),
        ({"deadline": "2026-01-01"}, "/deadline"),
        ({"deadline": "0001-01-01T00:00:00+14:00"}, "/deadline"),
        ({"deadline": "9999-12-31T23:59:59-14:00"}, "/deadline"),
        ({"max_cost_usd": "1e999999999"}, "/max_cost_usd"),
        ({"max_cost_usd": "1e-999999999"}, "/max_cost_usd"),
        ({"max_cost_usd": "NaN"}, "/max_cost_usd"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"metadata": {"a": ["x", "nul\0"]}}, "/metadata/a/1"),
        ({"metadata": {"nul\0": 1}}, "/metadata/nul\\u0000"),
        ({"metadata": nested(64)}, ""),
        ({"metadata": nested(200)}, ""),
    ],
)
def test_a_broken_rule_is_named_by_its_path(change, path):
    error = refusal(MINIMAL | change)
    assert error.code == "invalid_request"
    assert path in [where for where, _ in error.problems]
    assert error.id == (None if "id" in change else "a-1")
    assert error.tenant == (None if "tenant" in change else "acme")


def test_a_missing_field_is_named():
    assert ("/id", "is required") in refusal({"tenant": "acme", "prompt": "x"}).problems


def test_a_wrong_message_is_named_without_the_names_of_types():
    error = refusal({"id": "a", "tenant": "acme", "messages": [{"role": "user", "content": 5}]})
    assert {path for path, _ in error.problems} == {"/messages/0/content"}


def test_what_is_allowed_passes():
    for change in (
        {"metadata": nested(63)},
        {"metadata": None, "parameters": None, "tags": None},
        {"metadata": {"huge": 10**30, "slash": "\\u0000"}},
        {"id": "a" * 255},
        {"max_cost_usd": "0.05"},
        {"deadline": "2026-01-01T02:00:00+02:00"},
        {"prompt": "{[" * 500},
    ):
        assert read_request(json.dumps(MINIMAL | change).encode()).request.tenant == "acme"


def test_the_last_of_two_equal_keys_counts():
    assert read_request(b'{"id":"a","id":"b","tenant":"t","prompt":"x"}').request.id == "b"


@pytest.mark.parametrize(
    "change",
    [
        {f"k{i}": 1 for i in range(10_000)},
        {"parameters": {f"k{i}": 1 for i in range(60_000)}},
        {"prompt": None, "messages": [0] * 400_000},
        {"prompt": None, "messages": [{"role": "user", "content": [1] * 400_000}]},
        {"tags": {f"!{i}": 1 for i in range(60_000)}},
    ],
    ids=["fields", "parameters", "messages", "parts", "tags"],
)
def test_thousands_of_mistakes_give_a_short_answer(change):
    assert refusal(json.dumps(MINIMAL | change, separators=(",", ":")).encode()).code == "invalid_request"


@pytest.mark.parametrize(
    ("raw", "id", "tenant"),
    [
        (b'{"id":"a1","tenant":"acme","prompt":"cut of', "a1", "acme"),
        (b'{ "tenant" : "acme" , "metadata":{"id":"inner","tenant":"inner"}, "id" : "x" ,,', "x", "acme"),
        (b'{"a":["id","inner"], "b":"id", "c":"y", oops', None, None),
        (b'{"prompt":"\\"id\\":\\"fake\\"","id":"real", oops', "real", None),
        (b'{"id":"has space","tenant":"acme", oops', None, "acme"),
        (b'oops {"id":"a1"', None, None),
        (b'{"id":"cut', None, None),
        (b'{"\\"' * 30_000 + b"\\", None, None),
        (b'["' * 30_000, None, None),
        (b"{" * 65_536, None, None),
        (b'{"metadata":[' + b"[]," * 2_000 + b'0],"id":"found", oops', "found", None),
        (b'{"metadata":[' + b"[]," * 3_000 + b'0],"id":"behind", oops', None, None),
    ],
)
def test_id_and_tenant_are_found_in_broken_bytes_only_at_the_top(raw, id, tenant):
    error = refusal(raw)
    assert (error.id, error.tenant) == (id, tenant)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_answered(raw):
    assert refusal(raw).reason


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
field_names = st.sampled_from(
    ["prompt", "messages", "template", "output_schema", "parameters", "lane", "deadline", "max_cost_usd", "tags",
     "metadata", "rerun", "submitted_at", "model", "subject", "callback_url", "provider_options", "unknown"]
)  # fmt: skip


@settings(max_examples=300)
@given(st.dictionaries(field_names, json_values, max_size=5))
def test_any_fields_are_answered_and_what_is_read_can_be_hashed_and_written(change):
    raw = json.dumps(MINIMAL | change).encode()
    with suppress(Unreadable):
        read = read_request(raw)
        assert read_request(encode(read.request)).request == read.request
        assert len(body_hash(read.fields)) == 33


def test_the_hash_ignores_order_rerun_and_submission_time():
    first = body_hash({"id": "a", "prompt": "x", "rerun": True})
    assert first == body_hash({"prompt": "x", "submitted_at": "now", "id": "a"})
    assert first != body_hash({"id": "a", "prompt": "y"})
    assert request_hash(first).startswith("sha256:")
    assert len(request_hash(first)) == 71


def test_a_result_written_from_a_dict_is_the_message():
    written = encode(result())
    message = PromptResult.model_validate_json(written)
    assert message.usage.cost_usd == Decimal("0.0000094")
    assert b'"cost_usd":"0.0000094"' in written
    assert b'"completed_at":"2026-01-01T00:00:00.000Z"' in written
    assert PromptResult.model_validate_json(encode(message)) == message


@given(st.decimals(min_value=0, max_value=10**6, places=9))
def test_money_is_written_without_exponent_and_reads_back(amount):
    text = format_money(amount)
    assert Decimal(text) == amount
    assert "E" not in text.upper()


def test_what_json_cannot_hold_is_a_type_error():
    with pytest.raises(TypeError, match="set"):
        encode({"a": {1}})
