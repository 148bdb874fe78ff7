"""DELETE /v1/jobs/{id} over the in-memory twins: its answers, whatever becomes of the request."""

import asyncio

import pytest

from agents.departures import Departures
from agents.emit import Emitter
from agents.tenants import Tenants
from agents.wake.lanes import Lanes
from agents.wake.loop import Wake, WakePorts
from connectors.memory.lanes import MemoryFlights
from connectors.memory.ledger import MemoryLedger
from domain.accounts.limits import Defaults
from domain.ledger.results import failed
from tests.api.door import ASK, Door, assert_problem, utc_now


@pytest.fixture
async def wake(door: Door) -> Wake:
    """Ends what nobody works on; a test says when."""
    ledger = MemoryLedger(door.store, utc_now)
    emitter = Emitter(door.producer, door.replies, ledger, door.metrics)
    flights, tenants = MemoryFlights(door.store), Tenants(door.accounts, Defaults(600, 60))
    lanes = Lanes(ledger, door.limiter, flights, tenants, utc_now)
    return Wake(WakePorts(ledger, door.producer, emitter, door.metrics, utc_now, lanes, Departures(door.limiter)))


async def test_what_is_not_claimed_yet_is_cancelled_at_its_claim(door: Door) -> None:
    door.line.open.clear()
    await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")
    asked = await door.client.delete("/v1/jobs/a")
    assert (asked.status_code, asked.json()["status"], asked.headers["location"]) == (202, "accepted", "/v1/jobs/a")
    door.line.open.set()
    await asyncio.sleep(0.2)
    again = await door.client.delete("/v1/jobs/a")
    assert (again.status_code, again.json()["status"], again.json()["error"]["code"]) == (200, "cancelled", "cancelled")
    assert (await door.client.get("/v1/jobs/a/result")).json()["status"] == "rejected"


async def test_what_is_claimed_is_cancelled_within_the_answer(door: Door, wake: Wake) -> None:
    door.line.answering.clear()
    await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")
    while ("acme", "a") not in door.store.requests:
        await asyncio.sleep(0.01)
    deleting = asyncio.ensure_future(door.client.delete("/v1/jobs/a"))
    while ("acme", "a") not in door.store.cancels:
        await asyncio.sleep(0.01)
    await wake.end_cancelled()
    answer = await deleting
    assert (answer.status_code, answer.json()["status"], answer.json()["usage"]["attempts"]) == (200, "cancelled", 0)
    # whoever took it up meanwhile is too late
    door.line.answering.set()
    await asyncio.sleep(0.05)
    assert (await door.client.get("/v1/jobs/a")).json()["status"] == "cancelled"


async def test_who_waits_for_what_is_cancelled_gets_a_409_with_the_result(door: Door, wake: Wake) -> None:
    door.line.answering.clear()
    waiting = asyncio.ensure_future(door.ask({**ASK, "id": "a"}))
    while ("acme", "a") not in door.store.requests:
        await asyncio.sleep(0.01)
    deleting = asyncio.ensure_future(door.client.delete("/v1/jobs/a"))
    while ("acme", "a") not in door.store.cancels:
        await asyncio.sleep(0.01)
    await wake.end_cancelled()
    problem = assert_problem(await waiting, 409, "cancelled")
    assert (problem["result"]["status"], problem["result"]["error"]["code"]) == ("rejected", "cancelled")
    assert (await deleting).status_code == 200
    repeated = await door.ask({**ASK, "id": "a"})
    assert_problem(repeated, 409, "cancelled")


async def test_an_answer_that_comes_first_is_a_409_and_stays(door: Door) -> None:
    door.line.answering.clear()
    await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")
    while ("acme", "a") not in door.store.requests:
        await asyncio.sleep(0.01)
    deleting = asyncio.ensure_future(door.client.delete("/v1/jobs/a"))
    while ("acme", "a") not in door.store.cancels:
        await asyncio.sleep(0.01)
    door.line.answering.set()
    assert_problem(await deleting, 409, "finished")
    assert (await door.client.get("/v1/jobs/a")).json()["status"] == "completed"


@pytest.mark.parametrize("id", ["good", "bad"])
async def test_what_is_finished_stays_as_it_is(door: Door, id: str) -> None:
    door.line.endings["bad"] = failed("provider_error", "down")
    await door.ask({**ASK, "id": id})
    before = (await door.client.get(f"/v1/jobs/{id}")).content
    for _ in range(2):
        assert_problem(await door.client.delete(f"/v1/jobs/{id}"), 409, "finished")
    assert (await door.client.get(f"/v1/jobs/{id}")).content == before
    assert door.store.cancels == {}


async def test_another_tenants_job_is_not_there(door: Door) -> None:
    door.line.answering.clear()
    await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")
    theirs = await door.client.delete("/v1/jobs/a", headers=door.bearer(door.other))
    assert_problem(theirs, 404, "not_found")
    assert_problem(await door.client.delete("/v1/jobs/no-such"), 404, "not_found")
    assert_problem(await door.client.delete("/v1/jobs/%00"), 404, "not_found")
    assert door.store.cancels == {}
