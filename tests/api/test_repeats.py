"""Ids, Idempotency-Keys and repeats (rule D1)."""

import asyncio
from datetime import timedelta

import httpx
import orjson

from api.analyze.submission import Ask, id_of_key
from api.authentication import Caller
from domain.accounts.model import Tenant
from domain.ledger.results import failed
from tests.api.door import ASK, Door, assert_problem, completed

KEY = {"idempotency_key": "7f3d"}


async def _until_produced(door: Door, count: int = 1) -> None:
    while len(door.produced()) < count:
        await asyncio.sleep(0)


async def test_D1_the_id_follows_from_tenant_and_key_when_none_is_given(door: Door) -> None:
    response = await door.ask(**KEY)
    assert response.json()["id"] == id_of_key("acme", "7f3d")
    assert id_of_key("acme", "7f3d") != id_of_key("globex", "7f3d")


async def test_D1_a_replay_has_the_same_status_and_body(door: Door) -> None:
    first, second = await door.ask(**KEY), await door.ask(**KEY)
    assert (first.status_code, first.content) == (second.status_code, second.content)
    assert door.line.claims == 1
    assert len(door.produced()) == 1


async def test_D1_a_replay_of_a_failure_is_the_same_problem(door: Door) -> None:
    door.line.endings[id_of_key("acme", "7f3d")] = failed("provider_error", "down")
    first, second = await door.ask(**KEY), await door.ask(**KEY)
    assert_problem(first, 502, "provider_error")
    assert (first.status_code, first.content) == (second.status_code, second.content)


async def test_D1_a_replay_of_an_asynchronous_request_is_the_same_202(door: Door) -> None:
    first = await door.ask(ASK, "/v1/analyze/async", **KEY)
    while door.line.claims == 0:
        await asyncio.sleep(0)
    second = await door.ask(ASK, "/v1/analyze/async", **KEY)
    assert (first.status_code, first.content) == (202, second.content)
    assert second.headers["location"] == first.headers["location"]


async def test_D1_a_key_with_another_body_is_refused(door: Door) -> None:
    await door.ask(**KEY)
    assert_problem(await door.ask({"prompt": "Something else"}, **KEY), 422, "id_conflict")
    assert_problem(await door.ask({**ASK, "id": "other"}, **KEY), 422, "id_conflict")


async def test_D1_while_the_first_is_in_progress_its_key_is_a_409(door: Door) -> None:
    door.line.answering.clear()
    first = asyncio.create_task(door.ask(**KEY))
    await _until_produced(door)
    response = await door.ask(**KEY)
    assert_problem(response, 409, "in_progress")
    assert response.headers["retry-after"] == "1"
    door.line.answering.set()
    assert (await first).status_code == 200


async def test_D1_a_key_that_another_instance_may_be_producing_is_a_409_until_nobody_can_be(door: Door) -> None:
    submission = door.app.state.parts.analyze._reader
    theirs = Ask(Caller(Tenant("acme"), door.issued.key, ()), orjson.dumps(ASK), False, "", "7f3d")
    await door.jobs.submit([(await submission.read(theirs)).job])  # and it has not been produced yet, or never will be
    for path in ("/v1/analyze", "/v1/analyze/async"):
        assert_problem(await door.ask(ASK, path, **KEY), 409, "in_progress")
    assert door.produced() == []
    door.store.jobs["acme", id_of_key("acme", "7f3d")].created_at -= timedelta(seconds=4)
    assert (await door.ask(**KEY)).status_code == 202
    assert len(door.produced()) == 1


async def test_D1_a_key_whose_record_is_with_the_broker_is_not_produced_again(door: Door) -> None:
    door.line.open.clear()
    for _ in range(3):
        assert (await door.ask(ASK, "/v1/analyze/async", **KEY)).status_code == 202
    await door.app.state.parts.marks.write()
    assert (await door.ask(ASK, "/v1/analyze/async", **KEY)).status_code == 202
    assert len(door.produced()) == 1


async def test_after_a_202_the_key_leads_to_the_job_and_then_to_the_result(door: Door) -> None:
    door.line.answering.clear()
    assert (await door.ask(prefer="wait=0", **KEY)).status_code == 202
    assert (await door.ask(prefer="wait=0", **KEY)).status_code == 202
    door.line.answering.set()
    while not door.store.requests["acme", id_of_key("acme", "7f3d")].state.final:
        await asyncio.sleep(0)
    assert (await door.ask(**KEY)).status_code == 200


async def test_a_repeat_of_a_finished_id_gets_the_stored_result_and_costs_nothing(door: Door) -> None:
    first, second = await door.ask({**ASK, "id": "a"}), await door.ask({**ASK, "id": "a"})
    assert (second.status_code, second.content) == (200, first.content)
    assert len(door.produced()) == 1


async def test_a_repeat_of_an_unfinished_id_joins_it(door: Door) -> None:
    door.line.answering.clear()
    first = asyncio.create_task(door.ask({**ASK, "id": "a"}))
    await _until_produced(door)
    second = asyncio.create_task(door.ask({**ASK, "id": "a"}))
    while len(door.app.state.parts.waiters._waiting["acme", "a"]) < 2:
        await asyncio.sleep(0)
    door.line.answering.set()
    answers: list[httpx.Response] = await asyncio.gather(first, second)
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert (door.line.claims, len(door.produced())) == (1, 1)


async def test_an_id_with_another_body_is_a_conflict(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    body = assert_problem(await door.ask({"prompt": "Something else", "id": "a"}), 422, "id_conflict")
    assert "'a'" in body["detail"]


async def test_the_same_body_through_the_other_route_is_a_repeat(door: Door) -> None:
    assert (await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")).status_code == 202
    assert (await door.ask({**ASK, "id": "a"})).status_code == 200
    finished = await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")
    assert (finished.status_code, finished.json()["status"]) == (202, "completed")
    assert door.line.claims == 1


async def test_an_id_that_came_over_kafka_with_another_body_is_a_conflict(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    del door.store.jobs["acme", "a"]
    assert_problem(await door.ask({"prompt": "Something else", "id": "a"}), 422, "id_conflict")


async def test_an_id_that_came_over_kafka_and_finished_is_answered_with_its_result(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    del door.store.jobs["acme", "a"]
    assert (await door.ask({**ASK, "id": "a"})).status_code == 200
    assert door.line.claims == 1


async def test_rerun_starts_a_new_run_of_what_failed(door: Door) -> None:
    door.line.endings["a"] = failed("provider_error", "down")
    assert_problem(await door.ask({**ASK, "id": "a"}), 502, "provider_error")
    door.line.endings["a"] = completed("up again")
    assert_problem(await door.ask({**ASK, "id": "a"}), 502, "provider_error")
    again = await door.ask({**ASK, "id": "a", "rerun": True})
    assert (again.status_code, again.json()["run"], again.json()["output"]) == (200, 2, "up again")


async def test_rerun_of_what_completed_gives_the_stored_result(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    assert (await door.ask({**ASK, "id": "a", "rerun": True})).json()["run"] == 1
    assert door.line.claims == 1


async def test_tenants_do_not_share_ids(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    other = await door.client.post(
        "/v1/analyze", json={"prompt": "Another", "id": "a"}, headers=door.bearer(door.other)
    )
    assert (other.status_code, other.json()["tenant"]) == (200, "globex")


async def test_an_unusable_key_is_refused(door: Door) -> None:
    assert_problem(await door.ask(idempotency_key="k" * 256), 422, "invalid_request")
    assert_problem(await door.ask(idempotency_key=""), 422, "invalid_request")
