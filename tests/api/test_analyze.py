"""The synchronous route: what a client sees."""

import asyncio

import pytest

from domain.admission.model import Charge, Limit
from domain.ledger.results import Ending, failed, rejected
from tests.api.door import ASK, Door, assert_problem, completed
from topics.headers import API_KEY, REPLY_TO, TRACEPARENT
from topics.table import REQUESTS


async def test_a_prompt_is_answered_with_its_result(door: Door) -> None:
    door.line.endings["order-1"] = completed({"label": "negative"})
    response = await door.ask({**ASK, "id": "order-1"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    result = response.json()
    assert (result["id"], result["tenant"], result["status"]) == ("order-1", "acme", "completed")
    assert result["output"] == {"label": "negative"}


async def test_the_stored_bytes_are_sent_as_they_are(door: Door) -> None:
    response = await door.ask({**ASK, "id": "a"})
    assert response.content == door.store.requests["acme", "a"].results[1]


async def test_the_record_carries_tenant_id_time_and_its_headers(door: Door) -> None:
    traceparent = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    await door.ask({**ASK, "id": "a"}, traceparent=traceparent)
    [record] = door.broker.log[REQUESTS]
    headers = dict(record.headers)
    [value] = door.produced()
    assert record.key == b"a"
    assert (value["id"], value["tenant"], value["on_limit"]) == ("a", "acme", "reject")
    assert value["submitted_at"].endswith("Z")
    assert headers[API_KEY].decode() == door.issued.key.id
    assert headers[TRACEPARENT].decode() == traceparent
    assert headers["ce_id"] == b"acme/a"
    assert headers["content-type"] == b"application/json"
    assert len(headers[REPLY_TO]) == 32


async def test_an_asynchronous_request_names_nobody_to_reply_to(door: Door) -> None:
    await door.ask({**ASK, "id": "a"}, "/v1/analyze/async")
    assert REPLY_TO not in dict(door.broker.log[REQUESTS][0].headers)
    assert "on_limit" not in door.produced()[0]


async def test_without_an_id_one_is_given(door: Door) -> None:
    first, second = await door.ask(), await door.ask()
    assert first.json()["id"] != second.json()["id"]


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (rejected("invalid_request", "no"), 422),
        (rejected("content_blocked", "no"), 422),
        (rejected("id_conflict", "no"), 422),
        (rejected("rate_limited", "no"), 429),
        (rejected("budget_exceeded", "no"), 402),
        (rejected("deadline_exceeded", "late"), 504),
        (rejected("cancelled", "stopped"), 409),
        (failed("refused", "no"), 422),
        (failed("invalid_output", "no"), 502),
        (failed("provider_error", "no"), 502),
        (failed("unknown_outcome", "no"), 502),
        (failed("provider_timeout", "no"), 504),
        (failed("internal", "no"), 500),
        (failed("result_too_large", "no"), 500),
    ],
    ids=lambda value: value.code if isinstance(value, Ending) else str(value),
)
async def test_what_failed_is_a_problem_that_carries_the_result(door: Door, ending: Ending, status: int) -> None:
    assert ending.code is not None
    door.line.endings["a"] = ending
    body = assert_problem(await door.ask({**ASK, "id": "a"}), status, ending.code)
    assert body["result"]["id"] == "a"
    assert body["result"]["error"]["code"] == ending.code
    assert body["request_id"] == "a"


async def test_a_result_that_is_not_there_in_time_is_a_202_with_its_job(door: Door) -> None:
    door.line.answering.clear()
    response = await door.ask({**ASK, "id": "slow"}, prefer="wait=0")
    assert response.status_code == 202
    assert response.headers["location"] == "/v1/jobs/slow"
    assert response.headers["preference-applied"] == "wait=0"
    links = {"self": "/v1/jobs/slow", "result": "/v1/jobs/slow/result"}
    assert response.json() == {"id": "slow", "status": "accepted", "links": links}


async def test_D2_a_time_out_looks_into_the_ledger_before_it_answers_202(door: Door) -> None:
    door.line.notifies = False
    response = await door.ask({**ASK, "id": "a"}, prefer="wait=1")
    assert response.status_code == 200
    assert door.metrics.value("http_wakes", how="ledger") == 1


async def test_many_wait_at_once_and_each_gets_its_own(door: Door) -> None:
    ids = [f"r{n}" for n in range(50)]
    answers = await asyncio.gather(*(door.ask({**ASK, "id": id}) for id in ids))
    assert [answer.json()["id"] for answer in answers] == ids


async def test_a_stopping_server_lets_waiters_go_with_a_202(door: Door) -> None:
    door.line.answering.clear()
    waiting = asyncio.create_task(door.ask({**ASK, "id": "a"}))
    while not door.produced():
        await asyncio.sleep(0)
    door.app.state.parts.drain()
    assert (await waiting).status_code == 202
    assert (await door.strangers.get("/readyz")).status_code == 503


async def test_a_template_of_the_library_can_be_used(door: Door) -> None:
    template = {"name": "sentiment", "variables": {"text": "The parcel came a day early."}}
    assert (await door.ask({"template": template})).status_code == 200


async def test_at_the_limit_the_synchronous_route_answers_429_at_once() -> None:
    async with Door(requests_per_minute=60, burst=1).opened() as door:
        await door.limiter.admit([Charge((Limit("acme", 60, 1),))])
        response = await door.ask()
        assert_problem(response, 429, "rate_limited")
        assert int(response.headers["retry-after"]) >= 1
        assert response.headers["ratelimit-policy"] == '"tenant";q=60;w=60'
        assert response.headers["ratelimit"].startswith('"tenant";r=0;t=')
        assert door.produced() == []
        assert (await door.ask({**ASK, "on_limit": "wait"})).status_code == 200
        assert (await door.ask(ASK, "/v1/analyze/async")).status_code == 202
