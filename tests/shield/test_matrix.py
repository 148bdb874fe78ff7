"""Every route of OpenAPI for every identity: nobody reads or changes what is another's.

A route that is added is asked too; one with a parameter that PLACES does not know fails here until it does.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import orjson
import pytest

from api.middleware import PROTECTED, SIGNED
from connectors.memory.accounts import MemoryAccounts
from domain.accounts import keys
from domain.accounts.model import Tenant
from domain.accounts.scopes import ADMIN, SCOPES
from tests.api.door import PEPPER, Door, utc_now
from tests.api.test_letters import fail

SECRET = "zebra-crossing"
"""In everything that acme wrote. What only names its things (`known-…`) may come back to who asked with that name."""
VOLATILE = {
    "/v1/destinations/hooks/sample",
    "/v1/limits",
    "/v1/queues",
    "/v1/providers",
    "/v1/usage",
    "/v1/cache",
    "/v1/models",
    "/openai/v1/models",
    "/openai/v1/models/{model}",
}
"""What changes by itself, or is everybody's."""
IDENTITIES = ("nobody", "malformed", "unknown", "revoked", "suspended", "another tenant", "another scope")


@dataclass(frozen=True)
class Operation:
    """One of OpenAPI's, filled in with what is acme's."""

    method: str
    template: str
    path: str
    body: Any
    scope: str = ADMIN

    async def ask(self, client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
        content = None if self.body is None else orjson.dumps(self.body)
        return await client.request(self.method, self.path, content=content, headers=headers)


class House:
    """A door with something of acme's behind each route, and a key for each identity."""

    def __init__(self) -> None:
        self.door = Door()
        self.revoked = keys.issue("acme", "gone", PEPPER, utc_now())
        self.stranger = keys.issue("initech", "test", PEPPER, utc_now())
        tenants = [Tenant("acme"), Tenant("initech"), Tenant("asleep", active=False)]
        gone = replace(self.revoked.key, revoked_at=utc_now())
        self.scoped = {scope: keys.issue("acme", scope, PEPPER, utc_now(), (scope,)) for scope in SCOPES}
        rest = {scope: tuple({*SCOPES} - {ADMIN, scope}) for scope in SCOPES}
        self.lacking = {scope: keys.issue("acme", "x", PEPPER, utc_now(), others) for scope, others in rest.items()}
        limited = [issued.key for issued in (*self.scoped.values(), *self.lacking.values())]
        stored = [self.door.issued.key, self.door.asleep.key, self.stranger.key, gone, *limited]
        self.door.ports = replace(self.door.ports, accounts=MemoryAccounts(tenants, stored))
        self.places: dict[str, str] = {}

    def headers(self, identity: str) -> dict[str, str]:
        secret = {
            "acme": self.door.issued.secret,
            "malformed": self.door.issued.secret[:-1] + "_",
            "unknown": keys.generate(),
            "revoked": self.revoked.secret,
            "suspended": self.door.asleep.secret,
            "another tenant": self.stranger.secret,
        }.get(identity)
        return {"authorization": f"Bearer {secret}"} if secret else {}

    def headers_for(self, identity: str, operation: "Operation") -> dict[str, str]:
        """Of another scope: with every scope but the one that the operation needs."""
        if identity != "another scope":
            return self.headers(identity)
        return self.door.bearer(self.lacking[operation.scope])

    async def furnish(self) -> None:
        """Something of acme's behind every path."""
        await self._make("/v1/analyze", 200, id="known-job", prompt=SECRET, tags={"team": SECRET})
        schema = {"type": "object", "properties": {SECRET: {"type": "string"}}}
        await self._make("/v1/schemas", 201, name="known-schema", schema=schema)
        await self._make("/v1/budgets", 201, name="known-budget", limit_usd="7.77", period="day")
        url = f"https://hooks.example/{SECRET}"
        export = (await self._make("/v1/exports", 202, to="s3", template=SECRET))["id"]
        await self._make("/v1/exports/schedules", 201, name="known-schedule", cron="0 3 * * *", template=SECRET)
        webhook = (await self._make("/v1/webhooks", 201, url=url, description=SECRET))["id"]
        await self._make(f"/v1/webhooks/{webhook}/test", 202)
        listed = await self.door.client.get(f"/v1/webhooks/{webhook}/deliveries")
        made = await self._make("/v1/destinations", 201, kind="webhook", url=url, description=SECRET)
        destination = str(made["id"])
        await self._make(f"/v1/destinations/{destination}/test", 202)
        sent = await self.door.client.get(f"/v1/destinations/{destination}/deliveries")
        self.places = {
            "/v1/jobs/{id}": "known-job",
            "/v1/dead-letters/{letter}": await fail(self.door, "known-failure", prompt=SECRET),
            "/v1/schemas/{name}": "known-schema",
            "/v1/schemas/{name}/versions/{version}": "1",
            "/v1/budgets/{name}": "known-budget",
            "/v1/exports/{id}": str(export),
            "/v1/exports/schedules/{name}": "known-schedule",
            "/v1/destinations/{id}": destination,
            "/v1/destinations/{id}/deliveries/{delivery}": sent.json()["items"][0]["id"],
            "/v1/destinations/hooks/{id}": destination,
            "/v1/webhooks/{id}": str(webhook),
            "/v1/webhooks/{id}/deliveries/{delivery}": listed.json()["items"][0]["id"],
            "/v1/limits/keys/{id}": self.door.issued.key.id,
            "/v1/limits/tenants/{name}": "acme",
            "/v1/limits/plans/{name}": "known-plan",
            "/v1/sinks/{name}": "clickhouse",
            "/v1/sources/{name}": "known-source",
            "/openai/v1/models/{model}": "fast",
        }

    async def _make(self, path: str, status: int, **body: Any) -> dict[str, Any]:
        answer = await self.door.client.post(path, content=orjson.dumps(body) if body else b"")
        assert answer.status_code == status, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def operations(self) -> list[Operation]:
        """PUT last: it makes a thing of the asker's own, of the same name, which others would then find."""
        document = self.door.app.openapi()
        found = [
            Operation(method.upper(), template, self._filled(template), _example(operation), _scope(operation))
            for template, operations in document["paths"].items()
            for method, operation in operations.items()
            if template.startswith(PROTECTED)
        ]
        return sorted(found, key=lambda one: one.method == "PUT")

    def _filled(self, template: str) -> str:
        steps = []
        for step in template.split("/"):
            steps.append(step)
            if step.startswith("{"):
                known = "/".join(template.split("/")[: len(steps)])
                steps[-1] = self.places[known]
        return "/".join(steps)

    async def look(self) -> dict[str, Any]:
        """All that acme sees of its own."""
        own = self.headers("acme")
        asked = [one for one in self.operations() if one.method == "GET" and one.template not in VOLATILE]
        answers = {one.path: await one.ask(self.door.strangers, own) for one in asked}
        return {path: answer.json() for path, answer in answers.items() if answer.status_code == 200}


def _scope(operation: dict[str, Any]) -> str:
    """What its security asks for; the route that is signed has none."""
    return operation["security"][0]["bearer"][0] if operation["security"] else ADMIN


def _example(operation: dict[str, Any]) -> Any:
    """The documented body, with acme's names in it."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    return content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with house.door.opened():
        await house.furnish()
        yield house


@pytest.mark.parametrize("identity", IDENTITIES)
async def test_nobody_reads_or_changes_what_is_anothers(house: House, identity: str) -> None:
    before = await house.look()
    assert SECRET in str(before)
    wrong, asked = [], 0
    for operation in house.operations():
        answer = await operation.ask(house.door.strangers, house.headers_for(identity, operation))
        asked += 1
        if SECRET in answer.text or not _refused(identity, operation, answer):
            wrong.append(f"{operation.method} {operation.path}: {answer.status_code} {answer.text[:200]}")
    assert wrong == []
    assert asked > 50
    assert await house.look() == before


def _refused(identity: str, operation: Operation, answer: httpx.Response) -> bool:
    signed = SIGNED.fullmatch(operation.path) is not None
    if identity == "another tenant" or signed:
        # its own lists and new things are its own; what it names and is acme's is not there
        everybodys = operation.template in VOLATILE or (operation.method == "PUT" and "budgets" in operation.template)
        names_acmes = "{" in operation.template and not everybodys
        return answer.status_code in (401, 403, 404) if names_acmes else answer.status_code < 500
    if identity == "another scope":
        challenge = f'error="insufficient_scope", scope="{operation.scope}"'
        named = repr(operation.scope) in answer.text and challenge in answer.headers.get("www-authenticate", "")
        return answer.status_code == 403 and "insufficient_scope" in answer.text and named
    return answer.status_code == (403 if identity == "suspended" else 401)


async def test_the_one_scope_that_a_route_names_opens_it(house: House) -> None:
    """As far as `admin` opens it, which is asked first."""
    differ = []
    for operation in (one for one in house.operations() if one.method == "GET" and one.template not in VOLATILE):
        own = await operation.ask(house.door.strangers, house.headers("acme"))
        narrow = await operation.ask(house.door.strangers, house.door.bearer(house.scoped[operation.scope]))
        if (own.status_code, _without_id(own)) != (narrow.status_code, _without_id(narrow)):
            differ.append(f"{operation.path}: {own.status_code}, {narrow.status_code} {narrow.text[:200]}")
    assert differ == []


async def test_no_scope_refuses_what_it_names(house: House) -> None:
    """Whatever else they answer, the routes that change something let in who has their scope."""
    for operation in house.operations():
        answer = await operation.ask(house.door.strangers, house.door.bearer(house.scoped[operation.scope]))
        assert "insufficient_scope" not in answer.text, operation
        assert answer.status_code < 500


def _without_id(answer: httpx.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.json().items() if name != "request_id"}


async def test_acme_itself_reads_all_of_it(house: House) -> None:
    """Else the matrix would prove nothing. What is not its own is its operators'."""
    refused = []
    for operation in house.operations():
        answer = await operation.ask(house.door.strangers, house.headers("acme")) if operation.method == "GET" else None
        if answer is not None and answer.status_code != 200 and "for operators" not in answer.text:
            refused.append((operation.path, answer.status_code))
    assert refused == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/dead-letters/redrive", {"id": "known-failure"}),
        ("POST", "/v1/dead-letters/redrive", {"letters": ["/v1/dead-letters/{letter}"]}),
        ("GET", "/v1/dead-letters?id=known-failure", None),
        ("POST", "/v1/analyze", {"id": "known-job", "prompt": SECRET + "!", "rerun": True}),
        ("POST", "/v1/analyze", {"prompt": "hi", "tenant": "acme"}),
        ("POST", "/v1/analyze", {"prompt": "hi", "output_schema": "known-schema"}),
        ("POST", "/v1/cache", {"tag": "team"}),
        ("PUT", "/v1/budgets/known-budget", {"limit_usd": "0.01", "period": "day"}),
        ("POST", "/v1/schemas", {"name": "known-schema", "schema": {"type": "object"}}),
    ],
)
async def test_names_in_a_body_reach_ones_own_things_only(house: House, method: str, path: str, body: Any) -> None:
    before = await house.look()
    if body and body.get("letters"):
        body = {"letters": [house.places[body["letters"][0]]]}
    operation = Operation(method, path, path, body)
    answer = await operation.ask(house.door.strangers, house.headers("another tenant"))
    assert SECRET not in answer.text.replace(SECRET + "!", "")
    assert answer.status_code < 500
    assert await house.look() == before


async def test_an_idempotency_key_is_its_tenants(house: House) -> None:
    again = {"idempotency-key": "known-key"}
    bodies = orjson.dumps({"prompt": "Where is my parcel?"})
    answers = [
        await house.door.strangers.post("/v1/analyze", content=bodies, headers={**house.headers(who), **again})
        for who in ("acme", "another tenant", "acme")
    ]
    ids = [answer.json()["id"] for answer in answers]
    assert ids[0] == ids[2] != ids[1]
    assert answers[1].json()["tenant"] == "initech"
