"""Which deliveries follow from a record, and what they say."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from domain.webhooks.model import Endpoint, Message, Subscriptions
from domain.webhooks.payload import Unfit, of_event, of_result, origin, subscribers
from tests.contract.messages import event, result

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def endpoint(*events: str, id: str = "wh_1", fields: tuple[str, ...] | None = None) -> Endpoint:
    return Endpoint("acme", id, "https://a.example", events, b"s", NOW, fields)


def of(value: bytes, *events: str, callback: str | None = None) -> list[Message]:
    return list(of_result(value, [endpoint(*events)], callback))


def said(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(message.body)
    return found


def altered(**fields: Any) -> bytes:
    return orjson.dumps({**orjson.loads(result().value), **fields})


def test_a_body_is_type_timestamp_and_the_result_itself() -> None:
    value = result().value
    [message] = of(value, "request.completed")
    assert said(message) == {
        "type": "request.completed", "timestamp": orjson.loads(value)["completed_at"], "data": orjson.loads(value),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "kinds"),
    [
        ({"status": "completed", "cached": None}, ["request.completed", "cache.miss"]),
        ({"status": "completed", "cached": "exact"}, ["request.completed", "cache.hit"]),
        ({"status": "completed", "cached": "semantic"}, ["request.completed", "cache.hit"]),
        ({"status": "completed", "cached": "coalesced"}, ["request.completed", "cache.hit"]),
        ({"status": "failed", "cached": None}, ["request.failed", "cache.miss"]),
        ({"status": "rejected", "cached": None, "usage": {"attempts": 0}}, ["request.rejected"]),
    ],
)
def test_a_result_tells_how_it_ended_and_whether_it_was_known(fields: dict[str, Any], kinds: list[str]) -> None:
    assert [message.type for message in of(altered(**fields))] == kinds
    assert [message.type for message in of(altered(**fields), kinds[-1])] == kinds[-1:]
    assert of(altered(**fields), "batch.completed") == []


def test_a_record_that_is_read_again_is_the_same_delivery_and_another_run_is_not() -> None:
    first, again, other = of(result().value), of(result().value), of(altered(run=2))
    assert [one.id for one in first] == [one.id for one in again]
    assert len({one.id for one in [*first, *other]}) == 4
    two = [endpoint("request.completed"), endpoint("request.completed", id="wh_2")]
    both = list(of_result(result().value, two, None))
    assert len({one.id for one in both}) == 2


def test_conflicts_of_an_id_are_told_one_by_one() -> None:
    found = {of(altered(run=0, request_hash=f"sha256:{n}"))[0].id for n in range(3)}
    assert len(found) == 3


def test_an_endpoint_may_ask_for_some_fields_only() -> None:
    [message] = of_result(result().value, [endpoint("request.completed", fields=("output",))], None)
    assert set(said(message)["data"]) == {"id", "tenant", "run", "status", "output"}


def test_a_callback_gets_the_result_whatever_endpoints_there_are() -> None:
    [message] = of_result(result().value, [], "https://Callback.example:8443/a?token=b")
    assert (message.type, message.url) == ("request.completed", "https://Callback.example:8443/a?token=b")
    assert message.endpoint == "callback:callback.example:8443"
    assert origin("http://[::1]:80#x") == "[::1]:80"


def test_an_event_is_told_with_its_data_and_what_it_is_about() -> None:
    record = orjson.loads(event().value)
    [message] = of_event(event().value, [endpoint(record["type"]), endpoint("batch.completed", id="wh_2")])
    assert said(message)["type"] == record["type"]
    assert record["data"].items() <= said(message)["data"].items()
    assert said(message)["data"]["id"] == record["id"]


def test_the_subscribers_are_found_without_reading_the_record() -> None:
    ours = [endpoint()]
    known = Subscriptions(1, {"acme": ours})
    assert subscribers(known, result().value) == ours
    assert subscribers(known, b'{"id":"x","tenant":"globex", not JSON') == ()
    assert subscribers(known, b'{"note": "' + b"x" * 600 + b'", "tenant": "acme"}') == ours
    assert subscribers(Subscriptions(1), b"not JSON") == ()
    with pytest.raises(Unfit):
        subscribers(known, b"not JSON")


def test_what_happens_to_a_provider_is_told_to_every_tenant_that_subscribes() -> None:
    other = replace(endpoint("provider.degraded", id="wh_2"), tenant="globex")
    known = Subscriptions(1, {"acme": [endpoint("request.completed"), endpoint(id="wh_3")], "globex": [other]})
    value = event(tenant="", id=None, run=None, type="provider.degraded", data={"deployment": "a/b"}).value
    found = of_event(value, subscribers(known, value))
    assert [(one.tenant, one.endpoint) for one in found] == [("acme", "wh_3"), ("globex", "wh_2")]
    assert said(found[0])["data"] == {"deployment": "a/b"}


@pytest.mark.parametrize("value", [b"[]", b"nope", b'{"tenant": "acme"}', b'{"tenant":"acme","completed_at":1}'])
def test_what_is_no_message_of_ours_says_so(value: bytes) -> None:
    with pytest.raises(Unfit):
        of(value)
    with pytest.raises(Unfit):
        of_event(value, [endpoint()])
