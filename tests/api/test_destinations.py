"""/v1/destinations: whatever a tenant has, with how each of them is."""

from datetime import datetime, timedelta

import pytest

from domain.webhooks.model import Mark, Message
from domain.webhooks.sealing import unseal
from tests.api.door import PEPPER, Door, assert_problem, utc_now

PLACE = "/v1/destinations"
URL = "https://hooks.example/in"
BUCKET = {"name": "acme-answers", "region": "eu-central-1", "prefix": "a/", "access_key_id": "AKIA",
          "secret_access_key": "a secret", "every_seconds": 30}  # fmt: skip


async def made(door: Door, **fields: object) -> dict[str, object]:
    answer = await door.ask(fields, PLACE)
    assert answer.status_code == 201, answer.text
    found: dict[str, object] = answer.json()
    return found


async def test_a_bucket_is_made_shown_and_changed_and_its_secret_is_sealed_and_never_shown(door: Door) -> None:
    one = await made(door, kind="s3", bucket=BUCKET, events=["request.completed"], fields=["output"])
    assert (one["kind"], one["state"], one["waiting"], one["url"]) == ("s3", "new", 0, "s3://acme-answers/a")
    assert "a secret" not in str(one)
    row = await door.endpoints.get("acme", str(one["id"]))
    assert row is not None
    assert b"a secret" not in row.sealed
    assert unseal(PEPPER, "acme", row.id, row.sealed) == "a secret"
    place = f"{PLACE}/{one['id']}"
    assert (await door.client.get(place)).json() == one
    other = {**BUCKET, "name": "another", "secret_access_key": None}
    changed = (await door.client.patch(place, json={"bucket": other, "events": []})).json()
    assert (changed["bucket"]["name"], changed["events"]) == ("another", [])
    row = await door.endpoints.get("acme", str(one["id"]))
    assert row is not None
    assert unseal(PEPPER, "acme", row.id, row.sealed) == "a secret"
    assert_problem(await door.client.get(f"/v1/webhooks/{one['id']}"), 404, "not_found")
    assert (await door.client.get("/v1/webhooks")).json()["items"] == []


async def test_webhooks_show_here_too_and_one_made_here_is_one_there(door: Door) -> None:
    there = (await door.ask({"url": URL}, "/v1/webhooks")).json()
    here = await made(door, kind="webhook", url=URL)
    assert str(here.pop("secret")).startswith("whsec_")
    items = (await door.client.get(PLACE, params={"limit": 1})).json()
    assert ([one["id"] for one in items["items"]], items["next_cursor"] is None) == ([here["id"]], False)
    rest = (await door.client.get(PLACE, params={"cursor": items["next_cursor"]})).json()
    assert [one["id"] for one in rest["items"]] == [there["id"]]
    assert (await door.client.get(f"/v1/webhooks/{here['id']}")).json()["url"] == URL


async def test_how_a_destination_is_says_what_happened_and_what_to_do(door: Door) -> None:
    id, now = str((await made(door, kind="webhook", url=URL))["id"]), utc_now()
    await door.deliveries.put([Message("acme", id, "msg_1", "request.completed", now, b"{}")], now)
    error = "https://hooks.example:443: its name does not resolve"
    await door.endpoints.mark([Mark("acme", id, now, None, now, None, error)])
    found = (await door.client.get(f"{PLACE}/{id}")).json()
    assert (found["state"], found["waiting"], found["last_error"]["what"]) == ("failing", 1, error)
    assert "DNS" in found["last_error"]["remedy"]
    assert found["oldest_waiting_since"] == found["failing_since"]
    assert (await door.client.get(PLACE)).json()["items"] == [found]


async def test_what_a_destination_replaces_is_of_known_kinds_and_changes(door: Door) -> None:
    one = await made(door, kind="make", url=URL, redact=["email"])
    assert one["redact"] == ["email"]
    place = f"{PLACE}/{one['id']}"
    assert (await door.client.patch(place, json={"description": "x"})).json()["redact"] == ["email"]
    assert (await door.client.patch(place, json={"redact": []})).json()["redact"] == []
    assert_problem(await door.client.patch(place, json={"redact": ["name"]}), 422, "invalid_request")


async def test_a_destination_is_paused_and_resumed(door: Door) -> None:
    place = f"{PLACE}/{(await made(door, kind='webhook', url=URL))['id']}"
    assert (await door.client.post(f"{place}/pause")).json()["state"] == "paused"
    assert (await door.client.get(place)).json()["state"] == "paused"
    assert (await door.client.post(f"{place}/resume")).json()["state"] == "new"


async def test_a_test_event_is_in_the_log_of_the_destination_and_due_at_once(door: Door) -> None:
    place = f"{PLACE}/{(await made(door, kind='s3', bucket=BUCKET))['id']}"
    queued = await door.client.post(f"{place}/test")
    assert queued.status_code == 202
    links = queued.json()["links"]
    found = (await door.client.get(links["self"])).json()
    assert (found["type"], found["links"]) == ("webhook.test", links)
    assert datetime.fromisoformat(found["next_attempt_at"]) <= utc_now()
    assert [one["id"] for one in (await door.client.get(f"{place}/deliveries")).json()["items"]] == [found["id"]]
    assert (await door.client.post(links["retry"])).status_code == 202


async def test_what_was_given_up_is_redelivered(door: Door) -> None:
    id, now = str((await made(door, kind="webhook", url=URL))["id"]), utc_now()
    put = [Message("acme", id, f"msg_{n}", "request.completed", now, b"{}") for n in range(5)]
    await door.deliveries.put(put, now - timedelta(hours=1))
    await door.endpoints.mark([Mark("acme", id, now, None, now, 500, "")])
    assert await door.deliveries.trim(2, now) == 3
    assert (await door.client.get(f"{PLACE}/{id}")).json()["given_up"] == 3
    answer = await door.client.post(f"{PLACE}/{id}/redeliver", json={"since": now.isoformat()})
    assert (answer.status_code, answer.json()) == (202, {"queued": 0, "more": False})
    assert (await door.client.post(f"{PLACE}/{id}/redeliver", json={"since": "30m"})).json()["queued"] == 0
    assert (await door.client.post(f"{PLACE}/{id}/redeliver", json={"since": "90s"})).json()["queued"] == 0
    refused = await door.client.post(f"{PLACE}/{id}/redeliver", json={"since": "yesterday"})
    assert (refused.status_code, refused.json()["errors"][0]["path"]) == (422, "/since")
    assert (await door.client.post(f"{PLACE}/{id}/redeliver", json={"since": "24h"})).json()["queued"] == 3
    assert await door.deliveries.trim(2, now) == 3
    assert (await door.client.post(f"{PLACE}/{id}/redeliver")).json() == {"queued": 3, "more": False}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "s3", "url": URL}, "/kind"),
        ({"kind": "webhook"}, "/kind"),
        ({"kind": "webhook", "url": URL, "bucket": BUCKET}, "/kind"),
        ({"kind": "ftp", "url": URL}, "/kind"),
        ({"kind": "zapier", "url": "http://127.0.0.1"}, "/url"),
        ({"kind": "s3", "bucket": {**BUCKET, "endpoint": "http://169.254.169.254"}}, "/bucket/endpoint"),
        ({"kind": "s3", "bucket": {**BUCKET, "secret_access_key": None}}, "/bucket/secret_access_key"),
        ({"kind": "s3", "bucket": {**BUCKET, "name": "../x"}}, "/bucket/name"),
        ({"kind": "webhook", "url": URL, "fields": ["prompt"]}, "/fields/0"),
    ],
)
async def test_a_destination_with_a_fault_is_refused_and_the_fault_named(door: Door, body: object, path: str) -> None:
    problem = assert_problem(await door.ask(body, PLACE), 422, "invalid_request")
    assert problem["errors"][0]["path"] == path


async def test_a_destination_stays_of_its_kind(door: Door) -> None:
    place = f"{PLACE}/{(await made(door, kind='s3', bucket=BUCKET))['id']}"
    assert_problem(await door.client.patch(place, json={"url": URL}), 422, "invalid_request")


async def test_a_destination_is_its_tenants_alone(door: Door) -> None:
    place = f"{PLACE}/{(await made(door, kind='s3', bucket=BUCKET))['id']}"
    theirs = door.bearer(door.other)
    for method, path in [
        ("GET", place), ("PATCH", place), ("DELETE", place), ("POST", f"{place}/pause"), ("POST", f"{place}/resume"),
        ("POST", f"{place}/test"), ("POST", f"{place}/redeliver"), ("GET", f"{place}/deliveries"),
        ("GET", f"{place}/deliveries/m"), ("POST", f"{place}/deliveries/m/retry"),
        ("DELETE", place.replace("destinations", "destinations/hooks")),
    ]:  # fmt: skip
        assert_problem(await door.client.request(method, path, headers=theirs, content=b"{}"), 404, "not_found")
    assert (await door.client.get(PLACE, headers=theirs)).json()["items"] == []
    assert_problem(await door.strangers.get(PLACE), 401, "unauthenticated")
    assert (await door.client.delete(place)).status_code == 204
    assert_problem(await door.client.get(place), 404, "not_found")


@pytest.mark.parametrize("name", ["hookUrl", "target_url", "url"])
async def test_a_hook_is_subscribed_as_zapier_does_and_unsubscribed_by_its_id(door: Door, name: str) -> None:
    answer = await door.ask({name: URL, "event": "request.failed", "version": "1.0.0"}, f"{PLACE}/hooks")
    assert answer.status_code == 201
    id = answer.json()["id"]
    shown = (await door.client.get(f"{PLACE}/{id}")).json()
    assert (shown["kind"], shown["url"], shown["events"]) == ("zapier", URL, ["request.failed"])
    assert (await door.client.delete(f"{PLACE}/hooks/{id}")).status_code == 204
    assert_problem(await door.client.delete(f"{PLACE}/hooks/{id}"), 404, "not_found")


async def test_the_sample_of_a_hook_has_the_names_of_what_is_sent(door: Door) -> None:
    [sample] = (await door.client.get(f"{PLACE}/hooks/sample")).json()
    assert (sample["event"], sample["output__label"], sample["status"]) == (
        "request.completed",
        "negative",
        "completed",
    )
    assert not any(isinstance(value, dict | list) for value in sample.values())
    answer = await door.client.get(f"{PLACE}/hooks/sample", params={"event": "nope"})
    assert_problem(answer, 422, "invalid_request")


async def test_messages_say_what_the_destination_is(door: Door) -> None:
    bucket, hook = await made(door, kind="s3", bucket=BUCKET), await made(door, kind="zapier", url=URL)
    for one, where in ((bucket, bucket["url"]), (hook, "zapier")):
        place = f"{PLACE}/{one['id']}"
        await door.client.patch(place, json={"enabled": False})
        problem = assert_problem(await door.client.post(f"{place}/test"), 422, "invalid_request")
        assert f"the destination {one['id']} ({one['kind']}, " in problem["detail"]
        assert str(where) in problem["detail"]
        assert f"PATCH {place}" in problem["detail"]
        missing = assert_problem(await door.client.post(f"{place}/deliveries/msg_none/retry"), 404, "not_found")
        assert f"GET {place}/deliveries lists them" in missing["detail"]
    nobody = assert_problem(await door.client.post(f"{PLACE}/s3_none/test"), 404, "not_found")
    assert nobody["detail"] == "there is no destination 's3_none'; GET /v1/destinations lists them"
