"""/v1/webhooks: a tenant sees and changes its own."""

from datetime import timedelta
from pathlib import Path
from typing import get_args

import pytest
from standardwebhooks.webhooks import Webhook

from domain.webhooks.model import TYPES, UNSENT, Message
from tests.api.door import PEPPER, Door, assert_problem, utc_now
from topics.records import EventType

PLACE = "/v1/webhooks"
URL = "https://hooks.example/in?x=1"


async def made(door: Door, **fields: object) -> dict[str, object]:
    answer = await door.ask({"url": URL, **fields}, PLACE)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_a_webhook_is_made_shown_changed_and_removed(door: Door) -> None:
    one = await made(door, events=["request.completed"], description="orders", fields=["output"])
    secret = one.pop("secret")
    assert isinstance(secret, str)
    assert secret.startswith("whsec_")
    Webhook(secret)  # a receiver's library takes it
    assert (one["url"], one["events"], one["enabled"], one["fields"]) == (URL, ["request.completed"], True, ["output"])
    place = f"{PLACE}/{one['id']}"
    assert (await door.client.get(place)).json() == one
    assert (await door.client.get(PLACE)).json() == {"items": [one], "next_cursor": None}
    changed = await door.client.patch(place, json={"events": [], "fields": None, "enabled": False})
    assert changed.json() == {**one, "events": [], "fields": None, "enabled": False}
    assert (await door.client.patch(place, json={})).json() == changed.json()
    assert (await door.client.delete(place)).status_code == 204
    for answer in (await door.client.get(place), await door.client.delete(place), await door.client.patch(place)):
        assert_problem(answer, 404, "not_found")


async def test_webhooks_are_listed_in_pages(door: Door) -> None:
    ids = [(await made(door))["id"] for _ in range(3)]
    first = (await door.client.get(PLACE, params={"limit": 2})).json()
    second = (await door.client.get(PLACE, params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + second["items"]] == ids[::-1]
    assert second["next_cursor"] is None


async def test_every_type_of_event_can_be_subscribed_to_and_no_other(door: Door) -> None:
    assert {"request.completed", "request.failed", "request.rejected", "cache.hit", "cache.miss", "error.occurred",
            "rate_limit.exceeded", "budget.exceeded", "batch.completed"} <= set(TYPES)  # fmt: skip
    assert (await made(door, events=list(TYPES)))["events"] == list(TYPES)
    problem = assert_problem(await door.ask({"url": URL, "events": ["request.done"]}, PLACE), 422, "invalid_request")
    assert problem["errors"][0]["path"] == "/events/0"


async def test_whoever_subscribes_to_what_nothing_sends_is_told(door: Door) -> None:
    one = await made(door, events=["request.completed", "batch.completed"])
    assert one["events_not_sent_yet"] == ["batch.completed"]
    place = f"{PLACE}/{one['id']}"
    assert (await door.client.get(place)).json()["events_not_sent_yet"] == ["batch.completed"]
    changed = await door.client.patch(place, json={"events": ["request.completed"]})
    assert changed.json()["events_not_sent_yet"] == []
    destination = await door.ask({"kind": "webhook", "url": URL, "events": ["batch.completed"]}, "/v1/destinations")
    assert destination.json()["events_not_sent_yet"] == ["batch.completed"]


def test_what_nothing_sends_is_what_no_line_of_the_work_names() -> None:
    """By the text of whoever makes events; the day one of these is made, UNSENT must lose it."""
    root = Path(__file__).parents[2]
    texts = [path.read_text() for room in ("agents", "domain") for path in (root / room).rglob("*.py")
             if "webhooks" not in path.parts]  # fmt: skip
    assert {type for type in get_args(EventType) if not any(f'"{type}"' in text for text in texts)} == UNSENT


@pytest.mark.parametrize(
    "url", ["ftp://a.example", "http://127.0.0.1/x", "http://localhost:8080", "https://u:p@a.example", "http://10.1.2.3",
            "http://[::ffff:169.254.169.254]/", "http://0x7f.1", "https://a.example:22", ""],
)  # fmt: skip
async def test_a_url_that_must_not_be_called_is_refused_where_it_is_given(door: Door, url: str) -> None:
    problem = assert_problem(await door.ask({"url": url}, PLACE), 422, "invalid_request")
    assert problem["errors"][0]["path"] == "/url"
    one = await made(door)
    answer = await door.client.patch(f"{PLACE}/{one['id']}", json={"url": url})
    assert_problem(answer, 422, "invalid_request")


@pytest.mark.parametrize("body", [{}, {"url": URL, "fields": ["prompt"]}, {"url": URL, "evnts": []}, {"url": 1}, []])
async def test_a_body_with_a_fault_names_it(door: Door, body: object) -> None:
    assert_problem(await door.ask(body, PLACE), 422, "invalid_request")


async def test_a_webhook_is_its_tenants_alone(door: Door) -> None:
    one = await made(door)
    theirs = door.bearer(door.other)
    place = f"{PLACE}/{one['id']}"
    for method, path in [
        ("GET", place), ("PATCH", place), ("DELETE", place), ("POST", f"{place}/rotate"), ("POST", f"{place}/test"),
        ("GET", f"{place}/deliveries"), ("GET", f"{place}/deliveries/msg_1"), ("POST", f"{place}/deliveries/m/retry"),
    ]:  # fmt: skip
        assert_problem(await door.client.request(method, path, headers=theirs, content=b"{}"), 404, "not_found")
    assert (await door.client.get(PLACE, headers=theirs)).json()["items"] == []
    assert_problem(await door.strangers.get(PLACE), 401, "unauthenticated")


async def test_a_rotation_gives_another_secret_and_keeps_the_old_one_for_a_day(door: Door) -> None:
    one = await made(door)
    rotated = (await door.client.post(f"{PLACE}/{one['id']}/rotate")).json()
    assert rotated["secret"] != one["secret"]
    row = await door.endpoints.get("acme", str(one["id"]))
    assert row is not None
    assert row.old_until is not None
    assert timedelta(hours=23, minutes=59) < row.old_until - utc_now() <= timedelta(hours=24)


async def test_a_test_event_is_queued_seen_in_the_log_and_sent_again(door: Door) -> None:
    one = await made(door, events=["batch.completed"])
    place = f"{PLACE}/{one['id']}"
    queued = await door.client.post(f"{place}/test")
    assert queued.status_code == 202
    name = queued.json()["delivery_id"]
    log = (await door.client.get(f"{place}/deliveries")).json()
    assert [(row["id"], row["type"], row["status"]) for row in log["items"]] == [(name, "webhook.test", "pending")]
    found = (await door.client.get(queued.json()["links"]["self"])).json()
    assert (found["body"]["type"], found["body"]["data"]["endpoint"]) == ("webhook.test", one["id"])
    assert set(found["body"]) == {"type", "timestamp", "data"}
    assert (await door.client.post(queued.json()["links"]["retry"])).status_code == 202
    assert_problem(await door.client.post(f"{place}/deliveries/msg_none/retry"), 404, "not_found")
    await door.client.patch(place, json={"enabled": False})
    assert_problem(await door.client.post(f"{place}/test"), 422, "invalid_request")


async def test_the_secret_of_callbacks_is_the_tenants_own(door: Door) -> None:
    ours = (await door.client.get(f"{PLACE}/callback-secret")).json()["secret"]
    theirs = (await door.client.get(f"{PLACE}/callback-secret", headers=door.bearer(door.other))).json()["secret"]
    assert ours != theirs
    assert PEPPER.decode() not in ours


async def test_deliveries_of_callbacks_have_a_log_by_their_host_and_are_sent_again(door: Door) -> None:
    host, now = "callback:c.example:8443", utc_now()
    sent = Message("acme", host, "msg_1", "request.completed", now, b'{"type":"x"}', "https://c.example:8443/in")
    await door.deliveries.put([sent], now)
    place = f"{PLACE}/{host}/deliveries"
    assert [row["id"] for row in (await door.client.get(place)).json()["items"]] == ["msg_1"]
    assert (await door.client.get(f"{place}/msg_1")).json()["body"] == {"type": "x"}
    assert (await door.client.post(f"{place}/msg_1/retry")).status_code == 202
    assert (await door.client.get(place, headers=door.bearer(door.other))).json()["items"] == []


async def test_a_tenant_has_a_hundred_webhooks_at_most(door: Door) -> None:
    for _ in range(100):
        await made(door)
    assert_problem(await door.ask({"url": URL}, PLACE), 422, "invalid_request")
