"""Limits and lanes over the whole line in memory: who passes, who waits, and who comes back in which order."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from connectors.memory.model import says
from domain.accounts.limits import gates_of
from domain.accounts.model import Allowance, Plan, Tenant
from domain.admission.model import Gate
from domain.errors import InvalidSettings, ModelError
from domain.ledger.model import Cancel
from domain.settings import load
from tests.line.memory_line import MemoryLine, request, running
from topics.base import format_time
from topics.table import REQUESTS, TABLE, is_requests, requests_of, with_tenants

ACME, ZETA = Tenant("acme"), Tenant("zeta")


async def take_in(line: MemoryLine, *bodies: dict[str, Any]) -> None:
    await line.intake().handle_batch([line.publish(body) for body in bodies])


def ids(line: MemoryLine, lane: str = "bulk") -> list[str]:
    """The calls handed on since the last look."""
    return [
        f"{key.split('/')[0][0]}{key.split('/')[1]}" for key in ((one.key or b"").decode() for one in line.calls(lane))
    ]


def waits(line: MemoryLine) -> dict[str, str]:
    return {id: wait.reason for (_, id), wait in line.store.waiting.items()}


def bulk(*names: str, tenant: str = "acme", **more: Any) -> list[dict[str, Any]]:
    return [request(name, tenant=tenant, lane="bulk", **more) for name in names]


async def answer(line: MemoryLine, lane: str = "bulk") -> list[str]:
    """infer answers what was handed on, and says that the places are free."""
    worker, calls = await line.infer(), line.calls(lane)
    for call in calls:
        await worker.handle(call)
    await line.departures.flush()
    return [(call.key or b"").decode() for call in calls]


def in_flight(line: MemoryLine, tenant: str = "acme", lane: str = "bulk") -> int:
    return line.limiter._counts[f"{tenant}/lane/{lane}"]


async def test_as_many_calls_of_a_tenant_are_in_flight_in_a_lane_as_it_has_places() -> None:
    line = MemoryLine(tenants=(ACME, ZETA))
    line.lane_places = 2
    await take_in(line, *bulk("1", "2", "3", "4"), *bulk("1", tenant="zeta"), request("5", lane="interactive"))
    assert ids(line) == ["a1", "a2", "z1"]
    assert ids(line, "interactive") == ["a5"]
    assert waits(line) == {"3": "lane", "4": "lane"}
    assert line.out("prompt.events") == []
    await line.wake().wake_due()
    assert ids(line) == []


async def test_a_place_that_is_free_is_the_next_ones() -> None:
    line = MemoryLine()
    line.lane_places = 2
    await take_in(line, *bulk("1", "2", "3", "4", "5"))
    for expected in (["acme/1", "acme/2"], ["acme/3", "acme/4"], ["acme/5"], []):
        assert await answer(line) == expected
        await line.wake().wake_due()
    assert {row["id"] for row in line.out("prompt.results")} == {"1", "2", "3", "4", "5"}
    assert (in_flight(line), waits(line)) == (0, {})


async def test_tenants_come_back_in_turn_and_within_one_the_earliest_deadline_first() -> None:
    line = MemoryLine(tenants=(ACME, ZETA))
    line.lane_places = 2
    soon, late = (format_time(line.now + timedelta(minutes=minutes)) for minutes in (5, 50))
    await take_in(line, *bulk("1", "2"), *bulk("1", "2", tenant="zeta"))
    await take_in(
        line, *bulk("3", "4"), *bulk("5", deadline=late), *bulk("6", deadline=soon), *bulk("3", tenant="zeta")
    )
    await answer(line)
    await line.wake().wake_due()
    assert ids(line) == ["a6", "z3", "a5"]


async def test_the_interactive_lane_comes_back_first() -> None:
    line = MemoryLine()
    line.lane_places = 1
    await take_in(line, *bulk("b1", "b2"), *(request(name, lane="interactive") for name in ("i1", "i2")))
    for lane in ("bulk", "interactive"):
        await answer(line, lane)
    released = await line.wake()._ports.lanes.release(1)
    assert [one.id for one in released] == ["i2"]


async def test_a_retry_gives_its_place_back_while_it_waits_and_waits_for_one_when_it_is_due() -> None:
    line = MemoryLine([ModelError("503", outcome="error", sent=True, retryable=True, retry_after=1.0)])
    line.lane_places = 1
    await take_in(line, *bulk("1", "2"))
    await answer(line)
    await line.wake().wake_due()
    assert ids(line) == ["a2"]
    line.pass_time(minutes=10)
    await line.wake().wake_due()
    assert ids(line) == []
    assert waits(line) == {"1": "lane"}


async def test_a_delivery_that_comes_again_takes_no_second_place() -> None:
    line = MemoryLine()
    line.lane_places = 2
    delivery = line.publish(bulk("1")[0])
    for _ in range(3):
        await line.intake().handle_batch([delivery])
    assert ids(line) == ["a1"] * 3
    assert in_flight(line) == 1


async def test_what_is_cancelled_in_the_queue_holds_up_nobody() -> None:
    line = MemoryLine()
    line.lane_places = 1
    await take_in(line, *bulk("1", "2", "3"))
    ledger = line.wake()._ports.ledger
    await ledger.cancel([Cancel("acme", "2")])
    await line.wake().end_cancelled()
    await answer(line)
    for _ in range(2):
        await line.wake().wake_due()
    assert ids(line) == ["a3"]


async def test_D2_a_wiped_store_gives_no_place_twice() -> None:
    line = MemoryLine()
    line.lane_places = 2
    await take_in(line, *bulk("1", "2", "3"))
    line.limiter.wipe()
    await take_in(line, *bulk("4"))
    assert ids(line) == ["a1", "a2"]
    assert waits(line) == {"3": "lane", "4": "lane"}


async def test_a_place_that_nobody_gave_back_is_found_after_a_minute() -> None:
    line = MemoryLine()
    line.lane_places = 1
    await take_in(line, *bulk("1", "2"))
    (call,) = line.calls("bulk")
    await (await line.infer()).handle(call)
    line.departures._waiting.clear()  # the worker died
    line.pass_time(seconds=61)
    await line.wake().sweep()
    await line.wake().wake_due()
    assert ids(line) == ["a2"]


@pytest.mark.parametrize("on_limit", ["wait", "reject"])
async def test_calls_in_flight_are_limited_over_all_lanes_and_wait_or_are_rejected(on_limit: str) -> None:
    line = MemoryLine(tenants=(Tenant("acme", concurrency=1),))
    await take_in(line, *bulk("1"), request("2", lane="standard", on_limit=on_limit))
    assert ids(line) == ["a1"]
    assert ids(line, "standard") == []
    (event,) = line.out("prompt.events")
    assert event["type"] == "rate_limit.exceeded"
    if on_limit == "wait":
        assert waits(line) == {"2": "concurrency"}
    else:
        (result,) = line.out("prompt.results")
        assert (result["status"], result["error"]["code"]) == ("rejected", "rate_limited")
    line.offsets["prompt.calls.bulk", 0] = 0
    await answer(line)
    await line.wake().wake_due()
    assert ids(line, "standard") == (["a2"] if on_limit == "wait" else [])


async def test_a_wait_for_a_rate_is_scheduled_once_for_its_admission_time() -> None:
    line = MemoryLine(tenants=(Tenant("acme", requests_per_minute=60, burst=1),))
    await take_in(line, *bulk("1", "2", "3"))
    assert ids(line) == ["a1"]
    due = {id: (wait.not_before - line.now).total_seconds() for (_, id), wait in line.store.waiting.items()}
    assert due == {"2": 1.0, "3": 2.0}
    for expected in (["a2"], ["a3"]):
        line.pass_time(seconds=1)
        await line.wake().wake_due()
        assert ids(line) == expected


async def test_tokens_that_were_reserved_and_not_used_come_back_at_the_end() -> None:
    tenant = Tenant("acme", tokens_per_minute=60, token_burst=1_000)
    line = MemoryLine([says({"label": "good"})], tenants=(tenant,))
    await take_in(line, *bulk("1", parameters={"max_tokens": 900}))
    await take_in(line, *bulk("2", parameters={"max_tokens": 900}))
    assert ids(line) == ["a1"]
    reserved = line.limiter._tats["acme/tokens"]
    line.offsets["prompt.calls.bulk", 0] = 0
    await answer(line)
    (result,) = line.out("prompt.results")
    used = result["usage"]["input_tokens"] + result["usage"]["output_tokens"]
    assert 0 < used < 100
    costs = 901 + len(b"1") // 4 - used
    assert reserved - line.limiter._tats["acme/tokens"] == pytest.approx(costs, abs=60)


async def test_a_plan_limits_its_tenants_and_what_a_tenant_has_of_its_own_comes_first() -> None:
    line = MemoryLine(tenants=(Tenant("acme", plan="small"), Tenant("zeta", plan="small", concurrency=9)))
    await line.accounts.put_plan(Plan("small", Allowance(60, 5, 1_000, None, 3)))
    acme, zeta = await line.accounts.tenant("acme"), await line.accounts.tenant("zeta")
    assert acme is not None
    assert zeta is not None
    assert acme.allowance == Allowance(60, 5, 1_000, None, 3)
    assert zeta.allowance == Allowance(60, 5, 1_000, None, 9)
    assert gates_of(acme, None, "bulk", 7) == (Gate("acme/lane/bulk", 7, rejects=False), Gate("acme/flights", 3))


def test_a_rate_of_its_own_leaves_the_plans_burst_behind() -> None:
    plan = Allowance(60, 5, 1_000, 500, 3)
    assert Tenant("acme", requests_per_minute=600, of_plan=plan).allowance == Allowance(600, None, 1_000, 500, 3)
    assert Tenant("acme", burst=7, of_plan=plan).allowance == Allowance(60, 7, 1_000, 500, 3)


async def test_who_waits_behind_another_that_asks_the_same_is_not_in_flight() -> None:
    line = MemoryLine()
    await take_in(line, *bulk("1", "2"))
    worker = await line.infer()
    one, two = line.calls("bulk")
    asking = await running(line, worker, one)
    await worker.handle(two)
    await line.departures.flush()
    assert (in_flight(line), waits(line)) == (1, {"2": "coalesced"})
    line.model.let_go()
    await asking
    await line.departures.flush()
    assert in_flight(line) == 0


async def test_the_topic_of_a_tenant_proves_who_sends() -> None:
    line = MemoryLine(tenants=(ACME, ZETA))
    line.own_topics = {requests_of("acme"): "acme"}
    own, strange = (
        replace(line.publish(body), topic=requests_of("acme"), tp=(requests_of("acme"), 0))
        for body in (*bulk("1"), *bulk("1", tenant="zeta"))
    )
    await line.intake().handle_batch([own, strange])
    assert ids(line) == ["a1"]
    (letter,) = line.out("prompt.dead-letters")
    assert (letter["tenant"], letter["id"], letter["code"]) == ("acme", "1", "unknown_tenant")
    assert "a request of 'zeta' on the topic of 'acme'" in letter["reason"]


def test_topics_of_tenants_are_like_the_shared_one() -> None:
    *table, mine = with_tenants(("acme",))
    assert tuple(table) == TABLE
    assert mine == replace(TABLE[0], name="prompt.requests.acme", writers="acme")
    assert is_requests(REQUESTS)
    assert is_requests(mine.name)
    assert not is_requests("prompt.requestsomething")


@pytest.mark.parametrize(("text", "names"), [("", ()), ("acme, zeta,acme", ("acme", "zeta"))])
def test_tenants_with_topics_are_listed_in_a_setting(text: str, names: tuple[str, ...]) -> None:
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "h:1", "DATABASE_URL": "postgresql://h/d", "REDIS_URL": "redis://h",
        "CLICKHOUSE_URL": "http://h/d", "STRUCTURED_PROMPT_TENANT_TOPICS": text,
    }  # fmt: skip
    assert load(given, str).tenants_with_topics == names
    with pytest.raises(InvalidSettings, match="no name of a tenant"):
        load({**given, "STRUCTURED_PROMPT_TENANT_TOPICS": "no/slash"}, str)
