"""Bad input gets a clear problem, and nothing is produced."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import orjson
import pytest

from api.refusing import MAX_DISCARDED_BYTES
from connectors.memory.jobs import MemoryJobs
from domain.jobs.model import JobView
from tests.api.door import ASK, Door, assert_problem, utc_now
from topics.codec import MAX_BYTES

DEEP = b'{"prompt": "hi", "metadata": ' + b'{"a":' * 200 + b"1" + b"}" * 201
WIDE = orjson.dumps({"prompt": "hi", **{f"field{n}": n for n in range(10_000)}})
BODIES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "invalid_request"),
    "not JSON": (b"{prompt: 'hi'}", "invalid_request"),
    "an array": (b"[1]", "invalid_request"),
    "null": (b"null", "invalid_request"),
    "wrong UTF-8": (b'{"prompt": "\xff\xfe"}', "invalid_request"),
    "NaN": (b'{"prompt": "hi", "parameters": {"temperature": NaN}}', "invalid_request"),
    "a lone surrogate": (b'{"prompt": "\\ud800"}', "invalid_request"),
    "NUL": (b'{"prompt": "a\\u0000b"}', "invalid_request"),
    "200 levels deep": (DEEP, "invalid_request"),
    "10,000 properties": (WIDE, "invalid_request"),
    "an id of 256 characters": (orjson.dumps({**ASK, "id": "a" * 256}), "invalid_request"),
    "an id with a slash": (orjson.dumps({**ASK, "id": "a/b"}), "invalid_request"),
    "a number as id": (orjson.dumps({**ASK, "id": 7}), "invalid_request"),
    "two prompts": (orjson.dumps({**ASK, "messages": [{"role": "user", "content": "hi"}]}), "invalid_request"),
    "no prompt": (b"{}", "invalid_request"),
    "an unknown field": (orjson.dumps({**ASK, "promt": "hi"}), "invalid_request"),
    "another tenant": (orjson.dumps({**ASK, "tenant": "globex"}), "invalid_request"),
    "an invalid output schema": (orjson.dumps({**ASK, "output_schema": {"type": "strnig"}}), "invalid_request"),
    "a remote $ref": (
        orjson.dumps({**ASK, "output_schema": {"$ref": "http://127.0.0.1:1/schema.json"}}),
        "invalid_request",
    ),
    "an unknown model": (orjson.dumps({**ASK, "model": "fats"}), "unknown_model"),
    "an unknown template": (orjson.dumps({"template": {"name": "sentimant", "variables": {}}}), "unknown_template"),
    "a missing variable": (orjson.dumps({"template": {"name": "sentiment", "variables": {}}}), "invalid_request"),
}


@pytest.mark.parametrize("path", ["/v1/analyze", "/v1/analyze/async"])
@pytest.mark.parametrize("name", BODIES)
async def test_it_is_refused(door: Door, name: str, path: str) -> None:
    body, code = BODIES[name]
    problem = assert_problem(await door.ask(body, path), 422, code)
    assert problem["errors"], "every refusal says where"
    assert len(problem["errors"]) <= 20
    assert door.produced() == []
    assert door.store.jobs == {}


async def test_the_place_of_each_mistake_is_named(door: Door) -> None:
    problem = assert_problem(await door.ask({"promt": "hi", "prompt": "hi", "lane": "fast"}), 422, "invalid_request")
    assert {error["path"] for error in problem["errors"]} == {"/promt", "/lane"}


async def test_a_pattern_that_explodes_is_bounded(door: Door) -> None:
    schema = {"type": "string", "pattern": "^(a+)+$"}
    response = await door.ask({**ASK, "output_schema": schema})
    assert response.status_code in (200, 422)


async def test_5_MB_are_refused_by_their_announced_length(door: Door) -> None:
    body = assert_problem(await door.ask(b"x" * 5_000_000), 413, "too_large")
    assert str(MAX_BYTES) in body["detail"]


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_without_an_end_is_not_read_for_ever(door: Door, announced: bool) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(1_000):
            sent += 65_536
            yield b"x" * 65_536

    headers = {"content-length": "65536000"} if announced else {}
    assert_problem(await door.client.post("/v1/analyze", content=chunks(), headers=headers), 413, "too_large")
    assert sent <= MAX_DISCARDED_BYTES + 2 * MAX_BYTES


async def test_a_client_that_asks_first_is_told_before_it_sends(door: Door) -> None:
    response = await door.ask(b"x" * 5_000_000, expect="100-continue")
    assert_problem(response, 413, "too_large")


async def test_a_body_that_only_just_fits_must_fit_with_what_is_filled_in(door: Door) -> None:
    wrapping = len(orjson.dumps({"prompt": ""}))
    assert_problem(await door.ask({"prompt": "x" * (MAX_BYTES - wrapping)}), 413, "too_large")
    assert (await door.ask({"prompt": "x" * (MAX_BYTES - 400)})).status_code == 200


async def test_a_compressed_body_is_refused(door: Door) -> None:
    assert_problem(await door.ask(ASK, content_encoding="gzip"), 415, "unsupported_encoding")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/nothing", 404, "not_found"),
        ("DELETE", "/v1/analyze", 405, "method_not_allowed"),
        ("GET", "/v1/analyze", 405, "method_not_allowed"),
        ("GET", "/v1/jobs?limit=0", 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=many", 422, "invalid_request"),
        ("GET", "/v1/jobs?cursor=nonsense", 422, "invalid_request"),
        ("GET", "/v1/jobs?cursor=%ff%00", 422, "invalid_request"),
        ("GET", "/v1/usage?since=yesterday", 422, "invalid_request"),
        ("GET", "/v1/usage?by=colour", 422, "invalid_request"),
        ("GET", "/v1/jobs?cursor=WyIyMDI2LTAxLTAxVDAwOjAwOjAwWiIsIlx1MDAwMCJd", 422, "invalid_request"),
        ("GET", "/v1/jobs/%00", 404, "not_found"),
        ("GET", "/v1/jobs/nothing", 404, "not_found"),
        ("GET", "/v1/jobs/nothing/result", 404, "not_found"),
    ],
)
async def test_wrong_paths_methods_and_parameters_are_problems_too(
    door: Door, method: str, path: str, status: int, code: str
) -> None:
    assert_problem(await door.client.request(method, path), status, code)


async def test_a_wrong_method_is_told_the_right_one(door: Door) -> None:
    response = await door.client.delete("/v1/analyze")
    assert response.headers["allow"] == "POST"
    assert "(it takes POST)" in response.json()["detail"]


class BrokenJobs(MemoryJobs):
    """Fails as nothing should."""

    async def view(self, tenant: str, ids: Sequence[str]) -> list[JobView]:
        raise RuntimeError("the password is hunter2")


async def test_what_nobody_expected_is_a_500_without_details() -> None:
    door = Door()
    door.ports = replace(door.ports, jobs=BrokenJobs(door.store, utc_now))
    async with door.opened():
        response = await door.client.get("/v1/jobs/a", headers={"x-request-id": "mine-1"})
    body = assert_problem(response, 500, "internal")
    assert body["request_id"] == "mine-1" == response.headers["x-request-id"]
    assert "hunter2" not in response.text
