"""GET /v1/providers: how the workers find the models that can be called."""

import time

from domain.routing.health import Report
from tests.api.door import Door

SMALL, LARGE = "simulated/small", "simulated/large"


async def test_a_provider_that_nobody_called_is_unknown(door: Door) -> None:
    response = await door.client.get("/v1/providers")
    assert response.status_code == 200
    assert {item["id"]: item["status"] for item in response.json()["items"]} == {SMALL: "unknown", LARGE: "unknown"}


async def test_what_the_workers_say_is_added_up(door: Door) -> None:
    now = time.time()
    await door.health.tell("w1", [Report(SMALL, "w1", 10, 1, 300, now), Report(LARGE, "w1", 5, 9, 900, now)])
    await door.health.tell("w2", [Report(SMALL, "w2", 20, 0, 400, now)])
    await door.health.take_down(LARGE, 1_767_225_600.0)
    small, large = (await door.client.get("/v1/providers")).json()["items"]
    assert small == {
        "id": SMALL, "provider": "simulated", "model": "small", "status": "healthy", "since": None, "answers": 30,
        "failures": 1, "p50_ms": 400, "workers": 2,
    }  # fmt: skip
    assert (large["status"], large["since"], large["p50_ms"]) == ("degraded", "2026-01-01T00:00:00.000Z", 900)


async def test_it_takes_a_key(door: Door) -> None:
    assert (await door.strangers.get("/v1/providers")).status_code == 401
