"""GET, POST and DELETE /v1/cache."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from domain.caching.generations import Generations, schema_name
from domain.caching.semantic import Check
from tests.api.door import ASK, Door, assert_problem
from tests.contract.messages import result
from topics.codec import encode
from topics.records import ControlMessage
from topics.table import CONTROL


def said(door: Door) -> list[dict[str, Any]]:
    """The scopes on prompt.control, as every worker hears them."""
    messages = [orjson.loads(value) for value in door.broker.values(CONTROL)]
    for message in messages:
        ControlMessage.model_validate(message)
        assert Generations().hear(encode(message))
    return [message["data"] for message in messages]


async def test_what_the_cache_saved_is_told_by_template_and_to_its_tenant_only(door: Door) -> None:
    now = datetime.now(UTC)
    hit = {"cached": "exact", "cache": {"age_s": 12.0, "saved_usd": "0.0000094"}, "completed_at": now}
    await door.sink.write([result("r1", completed_at=now), result("r2", **hit), result("r3", tenant="globex", **hit)])
    response = await door.client.get("/v1/cache?since=1h")
    assert response.status_code == 200
    (row,) = response.json()["items"]
    assert row == {
        "template": None, "completed": 2, "exact": 1, "semantic": 0, "coalesced": 0, "hit_rate": 0.5,
        "saved_usd": "0.0000094", "mean_age_s": 12.0, "semantic_checks": None,
    }  # fmt: skip
    assert_problem(await door.client.get("/v1/cache?since=soon"), 422, "invalid_request")
    assert_problem(await door.strangers.get("/v1/cache"), 401, "unauthenticated")


async def test_the_measured_false_hits_of_a_template_are_shown(door: Door) -> None:
    now = datetime.now(UTC)
    template = {"name": "faq", "version": 2}
    await door.sink.write([result("r1", completed_at=now, template=template)])
    checks = [Check("acme", "faq", 1 + n % 2, n % 2 == 0, 0.02) for n in range(4)]
    await door.similar.note([*checks, Check("globex", "faq", 1, False, 0.02)])
    (row,) = (await door.client.get("/v1/cache")).json()["items"]
    assert row["semantic_checks"] == {"checked": 4, "wrong": 2, "false_hit_rate": 0.5, "closed_versions": [2]}


async def test_L13_an_invalidation_names_scopes_of_the_own_tenant(door: Door) -> None:
    schema = {"type": "object"}
    body = {"template": "sentiment@2", "tag": "team=support", "output_schema": schema, "model": "fast", "all": True}
    response = await door.client.post("/v1/cache", json=body)
    assert response.status_code == 202
    found = {(row["tenant"], row["kind"], row["value"]) for row in said(door)}
    assert found == {
        ("acme", "tenant", ""),
        ("acme", "template", "sentiment@2"),
        ("acme", "tag", "team=support"),
        ("acme", "schema", schema_name(schema)),
        ("acme", "model", "fast"),
    }
    assert {(row["kind"], row["value"]) for row in response.json()["invalidated"]} == {row[1:] for row in found}


async def test_L13_the_answer_to_one_request_is_forgotten_by_its_body(door: Door) -> None:
    assert (await door.client.post("/v1/cache", json={"request": ASK})).status_code == 202
    again = await door.client.post("/v1/cache", json={"request": {**ASK, "tags": {"a": "b"}, "id": "other"}})
    one, two = said(door)
    assert (one["kind"], one["value"]) == (two["kind"], two["value"])
    assert one["generation"] != two["generation"]
    response = await door.client.delete(f"/v1/cache?key={one['value']}")
    assert response.json()["invalidated"] == again.json()["invalidated"] == [{"kind": "key", "value": one["value"]}]


@pytest.mark.parametrize("query", ["all=true", "template=sentiment", "model=fast", "tag=team", "output_schema=label@1"])
async def test_a_query_does_the_same(door: Door, query: str) -> None:
    assert (await door.client.delete(f"/v1/cache?{query}")).status_code == 202
    assert len(said(door)) == 1


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"everything": True},
        {"key": "short"},
        {"request": {"prompt": "x", "cache": "bypass"}},
        {"request": {"a": 1}},
    ],
)
async def test_what_names_nothing_is_refused(door: Door, body: dict[str, Any]) -> None:
    assert_problem(await door.client.post("/v1/cache", json=body), 422, "invalid_request")
    assert said(door) == []


async def test_what_names_nothing_in_a_query_is_refused(door: Door) -> None:
    assert_problem(await door.client.delete("/v1/cache"), 422, "invalid_request")
    assert_problem(await door.strangers.delete("/v1/cache?all=true"), 401, "unauthenticated")
