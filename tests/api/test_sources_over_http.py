"""PUT, GET and DELETE /v1/sources/{name}: operators make sources without a restart."""

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from standardwebhooks.webhooks import Webhook

from connectors.memory.sources import MemorySourceFile
from domain.sinks.model import Report
from domain.sources.model import load
from tests.api.door import Door, assert_problem

SECRET = "whsec_" + b64encode(b"s" * 24).decode()
FILE = "sources: {tickets: {topic: crm.tickets, output: crm.answers, request: {tenant: acme}, map: {prompt: text}}}"
TOPIC = {"topic": "shop.orders", "output": "shop.answers", "request": {"tenant": "acme"}, "map": {"prompt": "text"}}
FORMS = {"webhook": {"secret": SECRET}, "request": {"tenant": "acme"}, "map": {"id": "number", "prompt": "text"}}


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    """Its client is an operator."""
    door = Door()
    door.ports = replace(door.ports, sources=MemorySourceFile(load(FILE, {})))
    async with door.opened() as opened:
        opened.client.headers.update(opened.bearer(opened.other))
        yield opened


async def put(door: Door, name: str, body: Any) -> httpx.Response:
    return await door.client.put(f"/v1/sources/{name}", content=orjson.dumps(body))


async def push(door: Door, number: int, secret: str = SECRET) -> httpx.Response:
    body, at = orjson.dumps({"number": number, "text": "?"}), datetime.now(UTC)
    head = {"webhook-id": f"msg_{number}", "webhook-timestamp": str(int(at.timestamp()))}
    head["webhook-signature"] = Webhook(secret).sign(f"msg_{number}", at, body.decode())
    return await door.strangers.post("/v1/sources/forms/events", content=body, headers=head)


async def test_a_source_is_made_shown_replaced_and_removed(door: Door) -> None:
    made = await put(door, "orders", {**TOPIC, "since": "2026-01-01T01:00:00+01:00"})
    assert made.status_code == 201, made.text
    shown = made.json()
    assert (shown["origin"], shown["topic"], shown["tenant"], shown["since"]) == (
        "http", "shop.orders", "acme", "2026-01-01T00:00:00.000Z",
    )  # fmt: skip
    assert {**shown["definition"], "since": None} == {**TOPIC, "since": None}
    assert (await door.client.get("/v1/sources/orders")).json() == shown
    replaced = await put(door, "orders", {**TOPIC, "topic": "shop.others"})
    assert (replaced.status_code, replaced.json()["topic"]) == (200, "shop.others")
    listed = (await door.client.get("/v1/sources")).json()["items"]
    assert [(one["name"], one["origin"]) for one in listed] == [("orders", "http"), ("tickets", "file")]
    assert (await door.client.delete("/v1/sources/orders")).status_code == 204
    assert_problem(await door.client.get("/v1/sources/orders"), 404, "not_found")
    assert_problem(await door.client.delete("/v1/sources/orders"), 404, "not_found")


async def test_what_is_shown_can_be_put_again(door: Door) -> None:
    shown = (await put(door, "orders", TOPIC)).json()
    again = await put(door, "orders", shown["definition"])
    assert (again.status_code, again.json()["definition"]) == (200, TOPIC)


async def test_its_status_is_what_its_process_tells(door: Door) -> None:
    status = (await put(door, "orders", TOPIC)).json()["status"]
    assert (status["state"], "start `structured-prompt sources`" in status["detail"]) == ("stopped", True)
    await door.sink_board.tell(Report("source-orders", "w1", "waiting", 7, 3, 1, 2, detail="write: no broker answers"))
    assert (await door.client.get("/v1/sources/orders")).json()["status"] == {
        "state": "waiting", "paused_at": None, "lag": 7, "rows": 3, "refused": 1, "errors": 2,
        "detail": "write: no broker answers",
    }  # fmt: skip


async def test_a_webhook_takes_events_at_once_and_none_when_it_is_removed(door: Door) -> None:
    assert (await push(door, 1)).status_code == 404
    made = await put(door, "forms", FORMS)
    assert (made.status_code, made.json()["webhook"]) == (201, "/v1/sources/forms/events")
    assert made.json()["definition"]["webhook"] == {"secret": None}
    assert (await push(door, 1)).status_code == 202
    other = "whsec_" + b64encode(b"t" * 24).decode()
    assert (await push(door, 2, other)).status_code == 401
    await put(door, "forms", {**FORMS, "webhook": {"secret": other}})
    assert (await push(door, 2, other)).status_code == 202
    assert (await push(door, 3)).status_code == 401
    await door.client.delete("/v1/sources/forms")
    assert (await push(door, 4, other)).status_code == 404
    assert [record["id"] for record in door.produced()] == ["1", "2"]


async def test_no_answer_and_no_row_has_a_secret(door: Door) -> None:
    bare = SECRET.removeprefix("whsec_")
    answers = [await put(door, "forms", FORMS), await door.client.get("/v1/sources/forms")]
    answers += [await door.client.get("/v1/sources"), await put(door, "forms", {**FORMS, "webhook": {"secret": 7}})]
    assert not [answer.text for answer in answers if bare in answer.text]
    (row,) = await door.source_store.all()
    assert bare not in str(row)


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_those_of_the_file_are_changed_there(door: Door, method: str) -> None:
    answer = await door.client.request(method, "/v1/sources/tickets", content=orjson.dumps(TOPIC))
    body = assert_problem(answer, 409, "in_use")
    assert "STRUCTURED_PROMPT_SOURCES" in body["detail"]


@pytest.mark.parametrize(
    ("name", "body", "path"),
    [
        ("Big", TOPIC, ""),
        ("orders", {"request": {"tenant": "acme"}}, ""),
        ("orders", {**TOPIC, "request": {}}, ""),
        ("orders", {**TOPIC, "topic": "a b"}, "/topic"),
        ("orders", {**TOPIC, "topics": "a"}, "/topics"),
        ("orders", {**TOPIC, "request": {"tenant": "acme", "prompts": "?"}}, "/request"),
        ("orders", {**TOPIC, "output": "crm.tickets"}, "/orders"),
        ("orders", {**TOPIC, "topic": "crm.answers"}, "/tickets"),
        ("forms", {**FORMS, "webhook": {"secret": "short"}}, "/webhook/secret"),
        ("forms", {**FORMS, "webhook": {"secret_env": "DATABASE_URL"}}, "/webhook/secret"),
    ],
)
async def test_what_is_wrong_is_told_and_not_kept(door: Door, name: str, body: Any, path: str) -> None:
    answer = assert_problem(await put(door, name, body), 422, "invalid_request")
    places = [one["path"] for one in answer["errors"]]
    assert path in places or (path in ("/orders", "/tickets") and "round for ever" in answer["detail"])
    assert await door.source_store.all() == []


async def test_there_is_an_end_to_how_many(door: Door) -> None:
    assert (await put(door, "s0", TOPIC)).status_code == 201
    (one,) = await door.source_store.all()
    for number in range(1, 100):
        await door.source_store.put(replace(one, name=f"s{number}"))
    body = assert_problem(await put(door, "s100", TOPIC), 422, "invalid_request")
    assert "100 sources" in body["detail"]
    assert (await put(door, "s99", TOPIC)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_customers_may_not(door: Door, method: str) -> None:
    await put(door, "orders", TOPIC)
    path = "/v1/sources/orders"
    answer = await door.strangers.request(method, path, content=orjson.dumps(TOPIC), headers=door.bearer())
    assert_problem(answer, 403, "forbidden")
    assert len(await door.source_store.all()) == 1
