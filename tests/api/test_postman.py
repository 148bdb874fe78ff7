"""The Postman collection, run as newman would, at the API in memory: every answer is one that OpenAPI declares."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from tests.api.door import Door


def requests_of(collection: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], set[int]]]:
    """(name, request, the statuses its test allows)."""
    for folder in collection["item"]:
        for item in folder["item"]:
            (event,) = item["event"]
            allowed = re.search(r"expect\(\[([\d, ]+)\]\)", event["script"]["exec"][0])
            assert allowed, item["name"]
            yield item["name"], item["request"], {int(status) for status in allowed[1].split(",")}


def enabled(parameters: list[dict[str, Any]]) -> dict[str, str]:
    return {one["key"]: one["value"] for one in parameters if not one.get("disabled")}


async def sent(door: Door) -> AsyncIterator[tuple[str, httpx.Response, set[int]]]:
    """(name, answer, the statuses allowed) of every request, in the collection's order."""
    collection = (await door.client.get("/postman.json")).json()
    for name, request, allowed in requests_of(collection):
        path = "/" + "/".join(request["url"]["path"])
        for variable in request["url"]["variable"]:
            path = path.replace(f":{variable['key']}", variable["value"])
        answer = await door.client.request(
            request["method"],
            path,
            params=enabled(request["url"]["query"]),
            headers=enabled(request["header"]),
            content=request.get("body", {}).get("raw"),
        )
        yield name, answer, allowed


async def test_every_answer_is_one_that_the_collection_expects(door: Door) -> None:
    answers = [one async for one in sent(door)]
    unexpected = [
        f"{name}: {answer.request.method} {answer.request.url.path} {answer.status_code}, not {sorted(allowed)}"
        for name, answer, allowed in answers
        if answer.status_code not in allowed
    ]
    assert unexpected == []
    assert sum(answer.is_success for _, answer, _ in answers) >= 25
