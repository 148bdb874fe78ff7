"""The Postman collection, run as newman would, at the API in memory: every answer is one that OpenAPI declares."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from domain.sinks.model import Report
from tests.api.door import Door
from tests.api.test_letters import fail

UNMADE = {
    "DELETE /v1/jobs/order-981": 409,
    "GET /.well-known/security.txt": 404,
    "POST /v1/sources/orders/events": 404,
    "GET /v1/limits/keys/key_93ac0f1b22d4e677": 404,
    "PUT /v1/limits/keys/key_93ac0f1b22d4e677": 404,
    "DELETE /v1/limits/keys/key_93ac0f1b22d4e677": 404,
}
"""A job that was quick to end, what is not set here, and the limits of keys, which a try must not change."""


def items_of(collection: dict[str, Any]) -> Iterator[tuple[dict[str, Any], set[int]]]:
    """(item, the statuses its test allows)."""
    for folder in collection["item"]:
        for item in folder["item"]:
            (event,) = item["event"]
            allowed = re.search(r"expect\(\[([\d, ]+)\]\)", event["script"]["exec"][0])
            assert allowed, item["name"]
            yield item, {int(status) for status in allowed[1].split(",")}


def enabled(parameters: list[dict[str, Any]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in parameters if not one.get("disabled")}


async def sent(door: Door) -> AsyncIterator[tuple[str, httpx.Response, set[int]]]:
    """(name, answer, the statuses allowed) of every request, in the collection's order and with the ids it keeps."""
    collection = (await door.client.get("/postman.json")).json()
    variables = {one["key"]: one["value"] for one in collection["variable"]}
    for item, allowed in items_of(collection):
        request = item["request"]
        path = "/" + "/".join(request["url"]["path"])
        for variable in request["url"]["variable"]:
            path = path.replace(f":{variable['key']}", variables.get(variable["value"].strip("{}"), variable["value"]))
        answer = await door.client.request(
            request["method"],
            path,
            params=enabled(request["url"]["query"]),
            headers=enabled(request["header"]),
            content=request.get("body", {}).get("raw"),
        )
        if answer.is_success:
            variables.update(kept("\n".join(item["event"][0]["script"]["exec"]), answer))
        yield item["name"], answer, allowed


def kept(script: str, answer: httpx.Response) -> dict[str, str]:
    """What the test keeps of its answer, as its JavaScript would."""
    found = {}
    for name, place in re.findall(r'const (\w+) = .*_\.get\(pm\.response\.json\(\), "([\w.]+)"\)', script):
        value: Any = answer.json()
        for step in place.split("."):
            value = value[int(step)] if step.isdigit() and len(value) > int(step) else dict(value or {}).get(step)
        if value:
            found[name] = str(value)
    return found


async def stand_by(door: Door) -> None:
    """The collection needs a key of an operator, a dead letter, an export and a sink to find what it asks for."""
    door.client.headers.update(door.bearer(door.other))
    await fail(door, "order-980", "globex")
    await door.client.post("/v1/exports", json={"format": "csv", "since": "7d", "to": "s3"})
    await door.sink_board.tell(Report("clickhouse", "sink-1", "running", 7, 100, 2, 3, None, ""))


async def test_every_answer_is_one_that_the_collection_expects_and_almost_all_succeed(door: Door) -> None:
    await stand_by(door)
    answers = [one async for one in sent(door)]
    unexpected = [
        f"{name}: {answer.request.method} {answer.request.url.path} {answer.status_code}, not {sorted(allowed)}"
        for name, answer, allowed in answers
        if answer.status_code not in allowed
    ]
    assert unexpected == []
    failed = {f"{one.request.method} {one.request.url.path}": one.status_code for _, one, _ in answers if one.is_error}
    assert failed == UNMADE
