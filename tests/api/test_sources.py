"""POST /v1/sources/{name}/events: signed events become requests."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from connectors.memory.sources import MemorySourceFile
from domain.sources.model import load
from tests.api.door import Door, assert_problem

SECRET = "whsec_" + b64encode(b"s" * 24).decode()
FILE = """
sources:
  forms:
    webhook: {secret_env: FORMS}
    request: {tenant: acme, template: {name: sentiment}}
    map: {id: number, template: {variables: {text: body.text}}}
  letters:
    webhook: {secret_env: FORMS}
    request: {tenant: acme}
    map: {prompt: text}
  stranger: {webhook: {secret_env: FORMS}, request: {tenant: nobody}, map: {prompt: text}}
  asleep: {webhook: {secret_env: FORMS}, request: {tenant: asleep}, map: {prompt: text}}
  tickets: {topic: crm.tickets, request: {tenant: acme}, map: {prompt: text}}
"""
EVENT = {"number": 4711, "body": {"text": "I love it"}}


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    door = Door()
    door.ports = replace(door.ports, sources=MemorySourceFile(load(FILE, {"FORMS": SECRET})))
    async with door.opened() as opened:
        yield opened


async def push(
    door: Door, event: Any = EVENT, name: str = "forms", id: str = "msg_1", at: datetime | None = None, **more: str
) -> httpx.Response:
    body = event if isinstance(event, bytes) else orjson.dumps(event)
    at = at or datetime.now(UTC)
    signature = Webhook(SECRET).sign(id, at, body.decode())
    head = {"webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    named = {name.replace("_", "-"): text for name, text in more.items()}
    return await door.strangers.post(f"/v1/sources/{name}/events", content=body, headers=head | named)


async def test_a_signed_event_is_a_job_of_the_source_s_tenant(door: Door) -> None:
    answer = await push(door)
    assert (answer.status_code, answer.json()["id"], answer.json()["status"]) == (202, "4711", "accepted")
    assert answer.headers["location"] == "/v1/jobs/4711"
    assert (await door.client.get("/v1/jobs/4711")).status_code == 200
    (record,) = door.produced()
    assert {name: record[name] for name in ("id", "tenant", "template")} == {
        "id": "4711", "tenant": "acme", "template": {"name": "sentiment", "variables": {"text": "I love it"}},
    }  # fmt: skip
    assert "sp-api-key" not in dict(door.broker.log["prompt.requests"][0].headers)


async def test_a_sender_that_repeats_itself_starts_one_request(door: Door) -> None:
    for _ in range(3):
        assert (await push(door)).status_code == 202
    assert door.line.claims == 1
    assert_problem(await push(door, {"number": 4711, "body": {"text": "other"}}), 422, "id_conflict")


async def test_without_an_id_of_its_own_the_event_s_is_taken(door: Door) -> None:
    answers = [await push(door, {"text": "?"}, "letters", id) for id in ("msg_1", "msg_1", "msg_2")]
    assert [answer.json()["id"] for answer in answers] == ["msg_1", "msg_1", "msg_2"]
    assert door.line.claims <= 2


@pytest.mark.parametrize(
    "wrong",
    [{"webhook_signature": "v1,AAAA"}, {"webhook_id": "msg_2"}, {"webhook_timestamp": "1"}, {"webhook_signature": ""}],
)
async def test_who_cannot_sign_is_refused(door: Door, wrong: dict[str, str]) -> None:
    assert_problem(await push(door, **wrong), 401, "unauthenticated")
    assert door.produced() == []


async def test_a_key_of_ours_is_no_signature(door: Door) -> None:
    answer = await door.client.post("/v1/sources/forms/events", content=orjson.dumps(EVENT))
    assert_problem(answer, 401, "unauthenticated")


async def test_an_old_copy_is_refused(door: Door) -> None:
    assert_problem(await push(door, at=datetime.now(UTC) - timedelta(minutes=6)), 401, "unauthenticated")


@pytest.mark.parametrize("name", ["unknown", "tickets"])
async def test_a_source_without_a_webhook_takes_none(door: Door, name: str) -> None:
    assert_problem(await push(door, name=name), 404, "not_found")


@pytest.mark.parametrize("name", ["stranger", "asleep"])
async def test_the_tenant_must_be_there_and_active(door: Door, name: str) -> None:
    assert_problem(await push(door, {"text": "?"}, name), 403, "forbidden")


@pytest.mark.parametrize(
    ("event", "path"),
    [
        (b"not json", None),
        ({"number": "a b"}, "/id"),
        ([], "/id"),
        ({"number": 1}, "/template/variables/text"),
    ],
)
async def test_what_is_no_request_is_told_to_the_sender(door: Door, event: Any, path: str | None) -> None:
    answer = await push(door, event)
    assert_problem(answer, 422, "invalid_request")
    assert [error["path"] for error in answer.json()["errors"]] == ([path] if path else [])
    assert door.produced() == []


async def test_other_paths_below_need_a_key_as_ever(door: Door) -> None:
    for path in ("/v1/sources/forms", "/v1/sources", "/v1/sources/a/b/events", "/v1/sources/forms/events/"):
        assert (await door.strangers.post(path)).status_code == 401


async def test_operators_see_what_is_bound_and_no_secret(door: Door) -> None:
    door.client.headers.update(door.bearer(door.other))
    answer = await door.client.get("/v1/sources")
    items = {item["name"]: item for item in answer.json()["items"]}
    assert list(items) == ["asleep", "forms", "letters", "stranger", "tickets"]
    assert items["forms"] == {
        "name": "forms", "topic": None, "bucket": None, "format": "json", "since": None, "output": None,
        "tenant": "acme", "webhook": "/v1/sources/forms/events", "origin": "file", "changed_at": None,
        "definition": None, "status": None,
    }  # fmt: skip
    assert (items["tickets"]["topic"], items["tickets"]["webhook"]) == ("crm.tickets", None)
    assert SECRET.removeprefix("whsec_") not in answer.text


async def test_customers_do_not(door: Door) -> None:
    assert_problem(await door.client.get("/v1/sources"), 403, "forbidden")


async def test_a_file_that_became_wrong_is_told_to_operators_and_the_old_one_holds(door: Door) -> None:
    door.client.headers.update(door.bearer(door.other))
    assert (await door.client.get("/v1/sources")).json()["file_error"] is None
    file = door.ports.sources
    assert isinstance(file, MemorySourceFile)
    file.write("forms: it needs a `topic`")
    file.look()
    file.look()
    answer = (await door.client.get("/v1/sources")).json()
    assert (answer["file_error"], len(answer["items"])) == ("forms: it needs a `topic`", 5)
