"""/v1/schemas, and requests that name a schema."""

from typing import Any

import httpx
import pytest

from tests.api.door import ASK, Door, assert_problem, completed

LABEL = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}
WIDER = {"type": "object", "properties": {"label": {"enum": ["good", "bad", "none"]}}, "required": ["label"]}
NARROWER = {"type": "object", "properties": {"label": {"enum": ["good"]}}, "required": ["label"]}


async def add(door: Door, schema: Any = LABEL, **more: Any) -> httpx.Response:
    return await door.ask({"name": "verdict", "schema": schema, **more}, "/v1/schemas")


async def test_a_schema_gets_versions(door: Door) -> None:
    first = await add(door)
    assert (first.status_code, first.json()["version"], first.json()["compatibility"]) == (201, 1, "BACKWARD")
    again = await add(door, {**LABEL, "required": ["label"]})
    assert (again.status_code, again.json()["version"]) == (200, 1)
    assert (await add(door, WIDER)).json()["version"] == 2
    [line] = (await door.client.get("/v1/schemas")).json()["items"]
    assert (line["name"], line["latest_version"], line["compatibility"]) == ("verdict", 2, "BACKWARD")
    one = (await door.client.get("/v1/schemas/verdict")).json()
    assert [version["version"] for version in one["versions"]] == [2, 1]
    assert (await door.client.get("/v1/schemas/verdict/versions/1")).json()["schema"] == LABEL
    assert (await door.client.get("/v1/schemas/verdict/versions/latest")).json()["schema"] == WIDER


async def test_a_version_that_does_not_fit_is_refused_with_the_reasons(door: Door) -> None:
    await add(door)
    refused = await add(door, NARROWER)
    problem = assert_problem(refused, 409, "incompatible_schema")
    assert problem["errors"] == [
        {"path": "/properties/label", "message": 'version 1 allows "bad", the new version does not'}
    ]
    assert (await door.client.get("/v1/schemas/verdict")).json()["latest_version"] == 1


async def test_the_mode_is_changed_alone_or_with_a_version(door: Door) -> None:
    await add(door, compatibility="FORWARD")
    assert_problem(await add(door, WIDER), 409, "incompatible_schema")
    assert (await add(door, NARROWER)).status_code == 201
    changed = await door.client.patch("/v1/schemas/verdict", json={"compatibility": "none"})
    assert changed.json()["compatibility"] == "NONE"
    assert (await add(door, {"type": "string"})).status_code == 201


async def test_a_dry_run_adds_nothing(door: Door) -> None:
    body = {"name": "verdict", "schema": LABEL}
    assert (await door.ask(body, "/v1/schemas?dry_run=true")).status_code == 200
    assert_problem(await door.client.get("/v1/schemas/verdict"), 404, "not_found")


async def test_what_the_first_model_of_an_alias_will_not_enforce_is_told_with_its_place(door: Door) -> None:
    closed = {**LABEL, "additionalProperties": False}
    assert (await add(door, closed)).json()["warnings"] == []
    warnings = (await door.ask({"name": "open", "schema": LABEL}, "/v1/schemas?dry_run=true")).json()["warnings"]
    # of each alias the first only: `careful` has the same two
    assert [(one["model"], one["path"]) for one in warnings] == [
        ("simulated/small", ""), ("simulated/small", ""), ("simulated/large", ""), ("simulated/large", ""),
    ]  # fmt: skip
    assert warnings[1]["message"] == "the object is open; say additionalProperties: false"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "verdict"}, "/schema"),
        ({"schema": LABEL}, "/name"),
        ({"name": "no spaces", "schema": LABEL}, "/name"),
        ({"name": "verdict", "schema": {"type": "nonsense"}}, "/schema/type"),
        ({"name": "verdict", "schema": LABEL, "compatibility": "SIDEWARD"}, "/compatibility"),
        ({"name": "verdict", "schema": LABEL, "mode": "NONE"}, "/mode"),
    ],
)
async def test_what_is_no_schema_is_refused(door: Door, body: Any, path: str) -> None:
    problem = assert_problem(await door.ask(body, "/v1/schemas"), 422, "invalid_request")
    assert problem["errors"][0]["path"] == path


async def test_tenants_do_not_see_each_other(door: Door) -> None:
    await add(door)
    other = {"headers": door.bearer(door.other)}
    assert (await door.strangers.get("/v1/schemas", **other)).json()["items"] == []  # type: ignore[arg-type]
    assert (await door.strangers.get("/v1/schemas/verdict", **other)).status_code == 404  # type: ignore[arg-type]


async def test_a_request_names_its_schema_and_its_result_is_stamped(door: Door) -> None:
    await add(door)
    await add(door, WIDER)
    door.line.endings["a"] = completed({"label": "none"})
    for id, named, version in (("a", {"name": "verdict"}, 2), ("b", {"name": "verdict", "version": 1}, 1)):
        result = (await door.ask({**ASK, "id": id, "output_schema": named})).json()
        assert result["output_schema"] == {"name": "verdict", "version": version}


@pytest.mark.parametrize(
    ("named", "path"),
    [
        ({"name": "verdikt"}, "/output_schema/name"),
        ({"name": "verdict", "version": 7}, "/output_schema/version"),
        ({"name": "verdict", "version": "1"}, "/output_schema/version"),
        ({"name": 7}, "/output_schema/name"),
    ],
)
async def test_an_unknown_schema_is_refused_at_the_door(door: Door, named: Any, path: str) -> None:
    await add(door)
    problem = assert_problem(await door.ask({**ASK, "output_schema": named}), 422, "invalid_request")
    assert problem["errors"][0]["path"] == path
