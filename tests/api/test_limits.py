"""GET /v1/limits, and the RateLimit fields of what starts work."""

from domain.accounts.model import Allowance
from domain.admission.model import Charge, Flight, Gate
from tests.api.door import ASK, Door, assert_problem


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
