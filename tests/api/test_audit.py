"""The audit log over HTTP: every route that changes something leaves a row, or stands on a short list with a reason."""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.accounts import keys
from domain.trail.model import Entry, Wanted
from domain.webhooks.model import Mark, Message
from tests.api.described import Document
from tests.api.door import PEPPER, Door, assert_problem, utc_now
from tests.api.test_letters import fail
from tests.api.test_postman import sent, stand_by

PAGE = Path(__file__).parents[2] / "docs" / "audit.md"
HOUR = timedelta(hours=1)
CHANGING = ("post", "put", "patch", "delete")
UNAUDITED = {
    "analyze": "asks",
    "analyze_async": "asks",
    "openai_chat_completions": "asks",
    "push_event": "asks",
    "cancel_job": "ends one request, which the ledger and its event tell",
    "test_webhook": "sends an example to a place that is set already",
    "test_destination": "sends an example to a place that is set already",
}
"""What changes neither what may be done nor where things go; docs/audit.md gives the reasons to users."""


def operation_of(document: Document, answer: httpx.Response) -> str:
    """The operation that gave the answer; paths with fewer variables come first, as routes are matched."""
    method, path = answer.request.method.lower(), answer.request.url.path
    for template in sorted(document["paths"], key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)), path):
            found: str = document["paths"][template].get(method, {}).get("operationId", "")
            if found:
                return found
    raise AssertionError(f"{method} {path} is no operation")


def changing(document: Document) -> Iterator[str]:
    for verbs in document["paths"].values():
        for verb, operation in verbs.items():
            if verb in CHANGING:
                yield operation["operationId"]


async def entries(door: Door, tenant: str | None = None) -> list[Entry]:
    return await door.trail.page(Wanted(tenant), 10_000, None)


class Walk:
    """Which operation left which rows."""

    def __init__(self, door: Door, document: Document, before: list[Entry]) -> None:
        self._door = door
        self._document = document
        self._seen = {one.id for one in before}
        self.left: dict[str, list[tuple[Entry, httpx.Response]]] = {}

    async def note(self, answer: httpx.Response) -> None:
        new = [one for one in await entries(self._door) if one.id not in self._seen]
        self._seen |= {one.id for one in new}
        operation = operation_of(self._document, answer)
        if answer.is_success:
            self.left.setdefault(operation, []).extend((one, answer) for one in new)
        else:
            assert new == [], f"{operation} failed with {answer.status_code} and left a row"


async def the_rest(door: Door) -> AsyncIterator[httpx.Response]:
    """What the examples of the collection do not change."""
    client, now = door.client, utc_now()
    await door.accounts.create_key(replace(keys.issue("globex", "second", PEPPER, now).key, id="key_second"))
    yield await client.put("/v1/limits/keys/key_second", json={"requests_per_minute": 5})
    yield await client.delete("/v1/limits/keys/key_second")
    yield await client.post("/v1/exports", json={"to": "s3", "since": "24h"})
    made = await client.post("/v1/destinations", json={"kind": "webhook", "url": "https://example.com/h"})
    yield made
    id = made.json()["id"]
    await door.deliveries.put([Message("globex", id, "msg_1", "request.completed", now, b"{}")], now - HOUR)
    await door.endpoints.mark([Mark("globex", id, now, None, now, 500, "")])
    assert await door.deliveries.trim(0, now) == 1
    yield await client.post(f"/v1/destinations/{id}/redeliver")
    yield await client.post(f"/v1/destinations/{id}/deliveries/msg_1/retry")
    yield await client.post(f"/v1/webhooks/{id}/deliveries/msg_1/retry")
    yield await client.post("/v1/dead-letters/redrive", json={"id": "one"})
    letter = (await client.get("/v1/dead-letters", params={"id": "two"})).json()["items"][0]["letter"]
    yield await client.post(f"/v1/dead-letters/{letter}/redrive")


async def test_every_changing_route_leaves_a_row_or_stands_on_the_list(door: Door, document: Document) -> None:
    await stand_by(door)
    for name in ("one", "two"):
        await fail(door, name, "globex")
    walk = Walk(door, document, await entries(door))
    await walk.note(await door.client.post("/v1/cache", json={"all": True}))
    async for _, answer, _ in sent(door):
        await walk.note(answer)
    async for answer in the_rest(door):
        await walk.note(answer)
    silent = {name for name in changing(document) if not walk.left.get(name)}
    assert silent == set(UNAUDITED), "add a rule to connectors/audited/rules.py, or a reason here and in docs/audit.md"
    rows = [(entry.who, answer.headers["x-request-id"]) for left in walk.left.values() for entry, answer in left]
    assert {(who.kind, who.key_id, who.address) for who, _ in rows} == {("key", door.other.key.id, "127.0.0.1")}
    assert [who.request_id for who, _ in rows] == [id for _, id in rows]
    assert UNAUDITED.keys() - walk.left.keys() <= {"push_event", "cancel_job"}, "these were not even tried"


async def test_a_row_names_who_did_what(door: Door) -> None:
    answer = await door.client.put("/v1/budgets/all", json={"limit_usd": "5"}, headers={"x-request-id": "mine-1"})
    assert answer.status_code == 201
    await door.client.put("/v1/budgets/all", json={"limit_usd": "7.5", "period": "day"})
    await door.client.delete("/v1/budgets/all")
    rows = (await door.client.get("/v1/audit")).json()["items"]
    assert [row["action"] for row in rows] == ["budget.delete", "budget.put", "budget.put"]
    deleted, changed, made = rows
    assert made["actor"] == {"kind": "key", "key_id": door.issued.key.id}
    assert (made["tenant"], made["object"]) == ("acme", {"type": "budget", "id": "all"})
    assert (made["request_id"], made["address"]) == ("mine-1", "127.0.0.1")
    assert made["before"] is None
    assert changed["before"] == made["after"]
    assert (changed["after"]["limit_usd"], changed["after"]["period"]) == ("7.5", "day")
    assert deleted["before"] == changed["after"]
    assert deleted["after"] is None


async def test_what_was_refused_leaves_no_row(door: Door) -> None:
    for answer in (
        await door.client.delete("/v1/budgets/none"),
        await door.client.put("/v1/budgets/all", json={"limit_usd": "much"}),
        await door.client.patch("/v1/webhooks/wh_none", json={"enabled": True}),
        await door.client.delete("/v1/exports/schedules/none"),
        await door.client.put("/v1/limits/plans/pro", json={"burst": 1}),
        await door.client.put("/v1/limits/keys/key_none", json={"burst": 1, "requests_per_minute": 1}),
    ):
        assert answer.is_error
    assert await entries(door) == []


async def test_tenants_are_walls_and_operators_see_over_them(door: Door) -> None:
    operator = door.bearer(door.other)
    await door.client.put("/v1/budgets/all", json={"limit_usd": "5"})
    await door.client.put("/v1/limits/plans/pro", json={"requests_per_minute": 60}, headers=operator)
    await door.client.put("/v1/limits/tenants/acme", json={"plan": "pro"}, headers=operator)
    limited, budget = (await door.client.get("/v1/audit")).json()["items"]
    assert (limited["action"], limited["actor"]) == ("tenant.limit", {"kind": "operator", "key_id": None})
    assert (limited["request_id"], limited["address"]) == (None, None)
    assert budget["action"] == "budget.put"
    for other in ("globex", "*", ""):
        answer = await door.client.get("/v1/audit", params={"tenant": other} if other else {"tenant": "globex"})
        assert_problem(answer, 403, "forbidden")
    assert (await door.client.get("/v1/audit", headers=operator)).json()["items"] == []
    everything = (await door.client.get("/v1/audit", params={"tenant": "*"}, headers=operator)).json()["items"]
    assert [(row["tenant"], row["action"]) for row in everything] == [
        ("acme", "tenant.limit"), (None, "plan.put"), ("acme", "budget.put"),
    ]  # fmt: skip
    assert everything[0]["actor"] == {"kind": "operator", "key_id": door.other.key.id}
    assert everything[0]["address"] == "127.0.0.1"
    of_acme = (await door.client.get("/v1/audit", params={"tenant": "acme"}, headers=operator)).json()["items"]
    assert [row["action"] for row in of_acme] == ["tenant.limit", "budget.put"]


async def test_pages_and_filters(door: Door) -> None:
    for number in range(3):
        await door.client.put(f"/v1/budgets/b{number}", json={"limit_usd": "5"})
    await door.client.delete("/v1/budgets/b1")

    async def seen(**params: Any) -> list[str]:
        answer = await door.client.get("/v1/audit", params=params)
        assert answer.status_code == 200, answer.text
        return [f"{row['action']} {row['object']['id']}" for row in answer.json()["items"]]

    first = (await door.client.get("/v1/audit", params={"limit": 3})).json()
    second = (await door.client.get("/v1/audit", params={"limit": 3, "cursor": first["next_cursor"]})).json()
    assert [row["object"]["id"] for row in first["items"] + second["items"]] == ["b1", "b2", "b1", "b0"]
    assert second["next_cursor"] is None
    assert await seen(action="budget.delete") == ["budget.delete b1"]
    assert await seen(type="budget", id="b0") == ["budget.put b0"]
    assert await seen(key_id="key_other") == []
    assert len(await seen(key_id=door.issued.key.id, since="1h")) == 4
    assert await seen(until="1h") == []
    assert_problem(await door.client.get("/v1/audit", params={"cursor": "mine"}), 422, "invalid_request")
    assert_problem(await door.client.get("/v1/audit", params={"since": "once"}), 422, "invalid_request")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/v1/audit", "/v1/audit/aud_0197a3c05d3e7cc1b0a73f6f3d2f5f11"])
async def test_nothing_alters_or_removes_a_row_through_the_api(door: Door, method: str, path: str) -> None:
    await door.client.put("/v1/budgets/all", json={"limit_usd": "5"})
    answer = await door.client.request(method, path, json={})
    assert answer.status_code in (404, 405)
    assert len(await entries(door)) == 1


async def test_a_key_reads_it_with_its_scope_only(door: Door) -> None:
    for scope, status in (("audit:read", 200), ("budgets:write", 403)):
        issued = keys.issue("acme", scope, PEPPER, utc_now(), (scope,))
        await door.accounts.create_key(issued.key)
        assert (await door.client.get("/v1/audit", headers=door.bearer(issued))).status_code == status


SECRET = "5up3r-hush-hush"


async def test_rows_carry_no_secrets(door: Door) -> None:
    hook = f"https://{SECRET}:{SECRET}@hooks.example.com/T/{SECRET}?token={SECRET}"
    bucket = {"name": "answers", "region": "eu-central-1", "access_key_id": SECRET, "secret_access_key": SECRET}
    operator = door.bearer(door.other)
    source = {
        "webhook": {"secret": "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"}, "request": {"tenant": "acme"},
        "map": {"prompt": "text"},
    }  # fmt: skip
    answers = [
        await door.client.post("/v1/webhooks", json={"url": hook.replace(f"{SECRET}:{SECRET}@", ""), "events": []}),
        await door.client.post("/v1/destinations", json={"kind": "s3", "bucket": bucket}),
        await door.client.put("/v1/sources/orders", json=source, headers=operator),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201], [answer.text for answer in answers]
    made = answers[0].json()
    rotated = (await door.client.post(f"/v1/webhooks/{made['id']}/rotate")).json()
    hidden = (SECRET, made["secret"], rotated["secret"], "QUJDREVG", door.issued.secret, door.issued.key.digest.hex())
    rows = (await door.client.get("/v1/audit", params={"tenant": "*"}, headers=operator)).text
    assert "hooks.example.com" in rows
    for one in hidden:
        assert one not in rows, one
    rotation = next(one.change for one in await entries(door) if one.change.action == "destination.rotate")
    assert rotation.before
    assert rotation.after
    assert rotation.before["signed_by"] != rotation.after["signed_by"], "that it became another one is told"


def test_the_page_gives_a_reason_for_what_is_left_out() -> None:
    page = PAGE.read_text()
    assert [name for name in UNAUDITED if f"`{name}`" not in page] == []
