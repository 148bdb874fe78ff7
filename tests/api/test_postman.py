"""The Postman collection, run as newman would, at the API in memory: every answer is one that OpenAPI declares."""

import re
from collections.abc import Iterator
from typing import Any

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


async def test_every_answer_is_one_that_the_collection_expects(door: Door) -> None:
    collection = (await door.client.get("/postman.json")).json()
    unexpected, done = [], 0
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
        done += answer.is_success
        if answer.status_code not in allowed:
            unexpected.append(f"{name}: {request['method']} {path} {answer.status_code}, not {sorted(allowed)}")
    assert unexpected == []
    assert done >= 25
