"""/v1/limits: what is left, who may set limits, and the RateLimit fields of what starts work."""

import pytest

from domain.accounts import keys
from domain.accounts.model import Allowance, Plan
from domain.admission.model import Charge, Flight, Gate
from tests.api.door import ASK, PEPPER, Door, assert_problem, utc_now


async def test_a_caller_sees_its_own_limits_and_what_is_left(door: Door) -> None:
    await door.accounts.limit_tenant("acme", Allowance(600, 10, 6_000, None, 5), None)
    await door.accounts.limit_key("acme", door.issued.key.id, Allowance(60, 2))
    await door.ask({**ASK, "id": "a"})
    found = (await door.client.get("/v1/limits")).json()
    assert (found["next_cursor"], found["plan"]) == (None, None)
    rows = {row["name"]: row for row in found["items"]}
    assert list(rows) == ["tenant", "key", "tenant-tokens", "tenant-flights"]
    assert rows["tenant"] == {
        "name": "tenant", "unit": "requests", "per_minute": 600, "burst": 10, "remaining": 10, "reset_s": 0.0,
    }  # fmt: skip
    assert rows["key"]["burst"] == 2
    assert rows["tenant-tokens"]["unit"] == "tokens"
    assert rows["tenant-flights"] == {
        "name": "tenant-flights", "unit": "concurrent_requests", "places": 5, "in_flight": 0, "remaining": 5,
    }  # fmt: skip


async def test_every_answer_that_starts_work_says_what_is_left(door: Door) -> None:
    await door.accounts.limit_tenant("acme", Allowance(600, 10, 6_000, None, 5), None)
    for route in ("/v1/analyze", "/v1/analyze/async"):
        response = await door.ask(ASK, route)
        assert response.headers["ratelimit-policy"].split(", ") == [
            '"tenant";q=600;w=60',
            '"tenant-tokens";q=6000;w=60;qu="tokens"',
            '"tenant-flights";q=5;qu="concurrent-requests"',
        ]
        assert response.headers["ratelimit"] == '"tenant";r=10;t=0, "tenant-tokens";r=6000;t=0, "tenant-flights";r=5'
    assert "ratelimit" not in (await door.client.get("/v1/jobs")).headers


async def test_where_as_many_calls_are_in_flight_as_may_be_the_synchronous_route_answers_429(door: Door) -> None:
    await door.accounts.limit_tenant("acme", Allowance(concurrency=1), None)
    gate = Gate("acme/flights", 1)
    await door.limiter.admit([Charge((), gates=(gate,), flight=Flight("acme", "bulk", "other", 1))])
    response = await door.ask()
    assert_problem(response, 429, "rate_limited")
    assert "1 calls are in flight" in response.json()["detail"]
    assert response.headers["retry-after"] == "1"
    assert (await door.ask(ASK, "/v1/analyze/async")).status_code == 202


async def a_key(door: Door, tenant: str) -> str:
    issued = keys.issue(tenant, "ci", PEPPER, utc_now())
    await door.accounts.create_key(issued.key)
    return issued.key.id


LIMITED = {"requests_per_minute": 60, "burst": 2, "tokens_per_minute": 6_000, "token_burst": None, "concurrency": 5}


async def test_the_limits_of_a_key_are_set_shown_hold_and_are_removed(door: Door) -> None:
    id = door.issued.key.id
    other = await a_key(door, "acme")
    path = f"/v1/limits/keys/{other}"
    changed = await door.client.put(path, json={name: value for name, value in LIMITED.items() if value})
    assert (changed.status_code, changed.json()) == (
        200, {"id": other, "name": "ci", "revoked_at": None, **LIMITED},
    )  # fmt: skip
    assert (await door.client.get(path)).json() == changed.json()
    listed = (await door.client.get("/v1/limits/keys")).json()
    assert {row["id"]: row["concurrency"] for row in listed["items"]} == {id: None, other: 5}
    assert (await door.client.put(path, json={"burst": 1})).json()["concurrency"] is None
    assert (await door.client.delete(path)).status_code == 204
    (key,) = [one for one in await door.accounts.keys("acme") if one.id == other]
    assert key.allowance == Allowance()


async def test_a_key_that_is_limited_changes_no_limits_not_even_its_own(door: Door) -> None:
    id = door.issued.key.id
    await door.accounts.limit_key("acme", id, Allowance(concurrency=100))
    for response in (
        await door.client.put(f"/v1/limits/keys/{id}", json={}),
        await door.client.delete(f"/v1/limits/keys/{id}"),
    ):
        assert_problem(response, 403, "forbidden")
    (key,) = await door.accounts.keys("acme")
    assert key.concurrency == 100


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"requests_per_minute": 60, "concurrency": 5}, 200),
        ({"requests_per_minute": 30, "concurrency": 5, "tokens_per_minute": 100}, 200),
        ({"requests_per_minute": 60, "burst": 30, "concurrency": 4}, 200),
        ({"requests_per_minute": 61, "concurrency": 5}, 403),
        ({"requests_per_minute": 60}, 403),
        ({"requests_per_minute": 60, "concurrency": 5, "burst": 100}, 403),
        ({"requests_per_minute": 60, "concurrency": 6}, 403),
    ],
)
async def test_a_key_that_is_limited_may_narrow_its_own_limits(door: Door, wanted: dict[str, int], status: int) -> None:
    path = f"/v1/limits/keys/{door.issued.key.id}"
    assert (await door.client.put(path, json={"requests_per_minute": 60, "concurrency": 5})).status_code == 200
    assert (await door.client.put(path, json=wanted)).status_code == status
    (key,) = await door.accounts.keys("acme")
    assert key.requests_per_minute == (wanted["requests_per_minute"] if status == 200 else 60)


async def test_a_key_that_is_limited_changes_no_other_key(door: Door) -> None:
    other = await a_key(door, "acme")
    await door.accounts.limit_key("acme", door.issued.key.id, Allowance(concurrency=100))
    problem = assert_problem(
        await door.client.put(f"/v1/limits/keys/{other}", json={"concurrency": 1}), 403, "forbidden"
    )
    assert "keys limit" in problem["detail"]


async def test_a_key_that_may_only_ask_changes_no_limit_and_no_budget(door: Door) -> None:
    asking = keys.issue("acme", "shop", PEPPER, utc_now(), ("requests:write",))
    await door.accounts.create_key(asking.key)
    for method, path in (
        ("PUT", f"/v1/limits/keys/{asking.key.id}"), ("DELETE", f"/v1/limits/keys/{asking.key.id}"),
        ("PUT", "/v1/budgets/all"), ("POST", "/v1/budgets"), ("DELETE", "/v1/budgets/all"),
    ):  # fmt: skip
        answer = await door.client.request(method, path, json={"limit_usd": "9"}, headers=door.bearer(asking))
        assert_problem(answer, 403, "insufficient_scope")


async def test_nobody_sees_or_limits_a_key_of_another_tenant(door: Door) -> None:
    theirs = door.other.key.id
    path = f"/v1/limits/keys/{theirs}"
    assert_problem(await door.client.get(path), 404, "not_found")
    assert_problem(await door.client.put(path, json={"burst": 1}), 404, "not_found")
    assert_problem(await door.client.delete(path), 404, "not_found")
    assert (await door.strangers.get("/v1/limits/keys")).status_code == 401


async def test_an_operator_limits_a_tenant_and_gives_it_a_plan(door: Door) -> None:
    await door.accounts.put_plan(Plan("pro", Allowance(6_000, concurrency=50)))
    path, operator = "/v1/limits/tenants/acme", door.strangers
    operator.headers.update(door.bearer(door.other))
    made = await operator.put(path, json={"plan": "pro", "concurrency": 5})
    assert (made.status_code, made.json()["plan"], made.json()["requests_per_minute"]) == (200, "pro", None)
    assert {name: made.json()["holds"][name] for name in ("requests_per_minute", "concurrency")} == {
        "requests_per_minute": 6_000, "concurrency": 5,
    }  # fmt: skip
    assert (await operator.get(path)).json() == made.json()
    assert {row["name"] for row in (await door.client.get("/v1/limits")).json()["items"]} == {
        "tenant",
        "tenant-flights",
    }
    assert (await operator.delete(path)).status_code == 204
    assert (await operator.get(path)).json()["plan"] is None
    problem = assert_problem(await operator.put(path, json={"plan": "gold"}), 422, "invalid_request")
    assert (problem["errors"][0]["path"], "pro" in problem["errors"][0]["message"]) == ("/plan", True)
    assert_problem(await operator.put("/v1/limits/tenants/nobody", json={}), 404, "not_found")


async def test_who_is_no_operator_limits_no_tenant_not_even_its_own(door: Door) -> None:
    for response in (
        await door.client.get("/v1/limits/tenants/acme"),
        await door.client.put("/v1/limits/tenants/acme", json={"requests_per_minute": 1_000_000}),
        await door.client.delete("/v1/limits/tenants/acme"),
    ):
        assert_problem(response, 403, "forbidden")


async def test_an_operator_makes_changes_lists_and_deletes_plans(door: Door) -> None:
    path, operator = "/v1/limits/plans/pro", door.strangers
    operator.headers.update(door.bearer(door.other))
    assert_problem(await operator.get(path), 404, "not_found")
    made = await operator.put(path, json={"requests_per_minute": 6_000})
    assert (made.status_code, made.json()["name"], made.json()["requests_per_minute"]) == (200, "pro", 6_000)
    changed = await operator.put(path, json={"concurrency": 50})
    assert (changed.json()["requests_per_minute"], changed.json()["concurrency"]) == (None, 50)
    assert (await operator.get(path)).json() == changed.json()
    assert (await operator.get("/v1/limits/plans")).json()["items"] == [changed.json()]
    await door.accounts.limit_tenant("acme", Allowance(), "pro")
    assert_problem(await operator.delete(path), 409, "in_use")
    await door.accounts.limit_tenant("acme", Allowance(), None)
    assert (await operator.delete(path)).status_code == 204
    assert_problem(await operator.delete(path), 404, "not_found")
    problem = assert_problem(await operator.put("/v1/limits/plans/a%20b", json={}), 422, "invalid_request")
    assert problem["errors"][0]["path"] == "/name"


async def test_plans_are_for_operators(door: Door) -> None:
    for response in (
        await door.client.get("/v1/limits/plans"),
        await door.client.get("/v1/limits/plans/pro"),
        await door.client.put("/v1/limits/plans/pro", json={}),
        await door.client.delete("/v1/limits/plans/pro"),
    ):
        assert_problem(response, 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"burst": 0}, "/burst"),
        ({"requests_per_minute": "many"}, "/requests_per_minute"),
        ({"requests_a_minute": 5}, "/requests_a_minute"),
    ],
)
async def test_a_wrong_limit_says_what_is_wrong(door: Door, body: dict[str, object], path: str) -> None:
    response = await door.client.put(f"/v1/limits/keys/{door.issued.key.id}", json=body)
    problem = assert_problem(response, 422, "invalid_request")
    assert problem["errors"][0]["path"] == path
