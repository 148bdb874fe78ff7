"""What every sink with its usage reader does. A destination that is down is not here: each sink proves that itself."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.reader import ClickHouseUsage
from connectors.clickhouse.sink import ClickHouseSink
from connectors.memory.sink import MemorySink, MemoryUsage
from domain.caching.use import CacheUse
from domain.errors import InvalidRequest
from domain.ports import Item, Sink, UsageReader
from tests.contract.messages import NOON, call, event, item, result
from topics.table import EVENTS, RESULTS, USAGE

HOUR = timedelta(hours=1)
LONG_AGO = NOON - timedelta(days=400)


@dataclass
class Destination:
    sink: Sink
    reader: UsageReader

    async def total(self, tenant: str = "acme") -> dict[str, Any]:
        rows = await self.reader.usage(tenant, [], LONG_AGO)
        return rows[0] if rows else {"requests": 0, "cost_usd": Decimal(0)}


@pytest.fixture(params=["memory", pytest.param("clickhouse", marks=pytest.mark.integration)])
async def destination(request: pytest.FixtureRequest) -> AsyncIterator[Destination]:
    if request.param == "memory":
        twin = MemorySink()
        await twin.open()
        yield Destination(twin, MemoryUsage(twin))
        return
    async with ClickHouse(request.getfixturevalue("clickhouse_url")) as clickhouse:
        await apply(clickhouse)
        sink = ClickHouseSink(clickhouse)
        await sink.open()
        yield Destination(sink, ClickHouseUsage(clickhouse))


async def test_accepts_each_kind_of_message(destination: Destination) -> None:
    assert await destination.sink.write([result(), call(), event()]) == []
    total = await destination.total()
    assert total["requests"] == total["completed"] == 1
    assert (total["input_tokens"], total["output_tokens"], total["cost_usd"]) == (31, 8, Decimal("0.0000094"))
    assert total["p50_ms"] == total["p99_ms"] == 421


async def test_an_empty_batch_is_nothing_to_do(destination: Destination) -> None:
    assert await destination.sink.write([]) == []


async def test_C1_a_batch_written_twice_counts_once(destination: Destination) -> None:
    batch = [result(), call(), call(attempt=2, outcome="invalid_output"), event()]
    for _ in range(3):
        await destination.sink.write(batch)
    total = await destination.total()
    assert (total["requests"], total["input_tokens"], total["cost_usd"]) == (1, 62, Decimal("0.0000188"))


async def test_C1_what_comes_twice_in_one_batch_counts_once_and_its_latest_run_wins(destination: Destination) -> None:
    failed = result(status="failed", output=None, error={"code": "internal", "message": "no"})
    await destination.sink.write([result(run=2), failed, result(run=2), call(), call(), event(), event()])
    total = await destination.total()
    assert (total["requests"], total["completed"], total["cost_usd"]) == (1, 1, Decimal("0.0000094"))


async def test_C1_a_request_with_three_attempts_is_one_request(destination: Destination) -> None:
    await destination.sink.write([result(), *(call(attempt=n) for n in (1, 2, 3))])
    total = await destination.total()
    assert (total["requests"], total["cost_usd"], total["p95_ms"]) == (1, Decimal("0.0000282"), 421)


async def test_the_embedding_of_a_question_is_paid_for_beside_its_attempts(destination: Destination) -> None:
    embedding = call(attempt=0, model="embedding", output_tokens=0, cost_usd="0.00000014")
    await destination.sink.write([result(), call(), embedding])
    assert await destination.sink.write([embedding]) == []
    rows = await destination.reader.usage("acme", ["model"], LONG_AGO)
    assert {row["model"]: row["cost_usd"] for row in rows}["embedding"] == Decimal("0.00000014")
    assert (await destination.total())["cost_usd"] == Decimal("0.00000954")


async def test_the_latest_run_of_a_request_wins_whatever_the_order_and_the_day(destination: Destination) -> None:
    failed = result(status="failed", output=None, error={"code": "internal", "message": "no"})
    rerun = result(run=2, completed_at=NOON + timedelta(days=2))
    await destination.sink.write([rerun])
    await destination.sink.write([failed])
    rows = await destination.reader.usage("acme", ["day"], LONG_AGO)
    assert [(row["day"], row["completed"], row["failed"]) for row in rows] == [(date(2026, 11, 22), 1, 0)]


async def test_every_run_is_paid_for(destination: Destination) -> None:
    await destination.sink.write([result(run=2), call(run=1), call(run=2)])
    assert (await destination.total())["cost_usd"] == Decimal("0.0000188")


async def test_the_known_outcome_of_an_attempt_replaces_the_unknown_one(destination: Destination) -> None:
    unknown = call(outcome="unknown", input_tokens=0, output_tokens=0, cost_usd="0")
    await destination.sink.write([call()])
    await destination.sink.write([unknown])
    assert (await destination.total())["cost_usd"] == Decimal("0.0000094")


async def test_an_id_conflict_is_not_a_request(destination: Destination) -> None:
    conflict = result(run=0, status="rejected", output=None, error={"code": "id_conflict", "message": "other body"})
    assert await destination.sink.write([conflict]) == []
    assert (await destination.total())["requests"] == 0


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b" ",
        b"nope",
        b"null",
        b"[]",
        b"5",
        b'"text"',
        b"{}",
        b'{"id": "x"',
        b'{"id": "x"}',
        b"}",
        b"\xff\xfe",
        b'{"id": "x", "tenant": "acme", "note": "\xff"',
        result("x").value + result("y").value,
        result("x").value + b"\n" + result("y").value,
        result("x").value[:-1],
        result("x").value.replace(b'"run":1', b'"run":"one"'),
        result("x").value.replace(b'"completed"', b'"finished"'),
        result("x").value.replace(b"2026-11-20T12", b"yesterday"),
        b'{"a":' + b"[" * 3000 + b"]" * 3000 + b"}",
    ],
    ids=lambda value: repr(value[:30]),
)
async def test_poison_is_refused_with_a_reason_and_never_its_neighbours(destination: Destination, value: bytes) -> None:
    before, poison, after = result("before"), item(RESULTS, value, offset=7), result("after")
    refused = await destination.sink.write([before, poison, after, call("before")])
    assert [one.item for one in refused] == [poison]
    assert refused[0].reason
    total = await destination.total()
    assert (total["requests"], total["input_tokens"]) == (2, 31)


@pytest.mark.parametrize("topic", [RESULTS, USAGE, EVENTS])
async def test_a_batch_of_nothing_but_poison_is_refused_whole(destination: Destination, topic: str) -> None:
    batch = [item(topic, b"poison", offset) for offset in range(50)]
    assert {one.item.offset for one in await destination.sink.write(batch)} == set(range(50))


async def test_the_bad_rows_of_a_large_batch_are_found(destination: Destination) -> None:
    batch: list[Item] = [result(f"r{n}") for n in range(500)]
    bad = item(RESULTS, result("bad").value.replace(b'"attempts":1', b'"attempts":"x"'))
    for place in (0, 250, 499):
        batch[place] = bad
    assert [one.item for one in await destination.sink.write(batch)] == [bad] * 3
    assert (await destination.total())["requests"] == 497


async def test_a_late_row_counts_in_its_own_hour(destination: Destination) -> None:
    await destination.sink.write([result("new"), call("new")])
    await destination.sink.write([result("late", completed_at=NOON - 30 * HOUR), call("late", at=NOON - 30 * HOUR)])
    rows = await destination.reader.usage("acme", ["hour"], LONG_AGO)
    assert [(row["hour"], row["requests"]) for row in rows] == [(NOON - 30 * HOUR, 1), (NOON, 1)]


async def test_usage_is_grouped_by_what_is_asked_for(destination: Destination) -> None:
    template = {"name": "sentiment", "version": 2}
    await destination.sink.write(
        [
            result("a", template=template, api_key_id="k1"),
            call("a", template=template, api_key_id="k1"),
            result("b", model="large", tags={"b": "2", "a": "1"}),
            call("b", model="large", tags={"a": "1", "b": "2"}, cost_usd="0.5"),
            result("c", model=None, provider=None, status="rejected", output=None, cached=None),
            result("d", cached="exact"),
        ]
    )
    by_model = {row["model"]: row for row in await destination.reader.usage("acme", ["model"], LONG_AGO)}
    assert {name: row["requests"] for name, row in by_model.items()} == {"small": 2, "large": 1, None: 1}
    assert (by_model["small"]["cached"], by_model[None]["rejected"]) == (1, 1)
    by_tags = await destination.reader.usage("acme", ["tags"], LONG_AGO)
    assert by_tags[0]["tags"] == {"a": "1", "b": "2"}
    assert (by_tags[0]["requests"], by_tags[0]["cost_usd"]) == (1, Decimal("0.5"))
    both = await destination.reader.usage("acme", ["template", "api_key_id"], LONG_AGO)
    assert {(row["api_key_id"], row["template"]) for row in both} == {("k1", "sentiment"), (None, None)}


async def test_a_tenant_sees_its_own_usage_and_the_operator_all(destination: Destination) -> None:
    await destination.sink.write([result(), result(tenant="other"), result("r2", tenant="other")])
    assert (await destination.total("acme"))["requests"] == 1
    assert await destination.reader.usage("acme' OR 1 = 1 --", [], LONG_AGO) == []
    every = await destination.reader.usage(None, ["tenant"], LONG_AGO)
    assert {row["tenant"]: row["requests"] for row in every} == {"acme": 1, "other": 2}


async def test_usage_begins_where_it_was_asked_to(destination: Destination) -> None:
    await destination.sink.write([result("old", completed_at=NOON - HOUR), result("new")])
    assert (await destination.reader.usage("acme", [], NOON))[0]["requests"] == 1
    assert await destination.reader.usage("acme", [], NOON + HOUR) == []


async def test_an_unknown_dimension_is_named_with_a_near_one(destination: Destination) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await destination.reader.usage("acme", ["modle"], LONG_AGO)
    assert "did you mean 'model'" in raised.value.problems[0].message


async def test_percentiles_are_those_of_the_requests(destination: Destination) -> None:
    times = [{"queued_ms": 0, "provider_ms": 0, "total_ms": n} for n in range(1, 101)]
    await destination.sink.write([result(f"r{n}", timings=timing) for n, timing in enumerate(times)])
    total = await destination.total()
    assert (total["p50_ms"], total["p95_ms"], total["p99_ms"]) == (50, 95, 99)


async def test_what_the_cache_saved_by_template(destination: Destination) -> None:
    sentiment = {"template": {"name": "sentiment", "version": 1}}
    exact = {"cached": "exact", "cache": {"age_s": 30.5, "saved_usd": "0.0000094"}}
    older = {"cached": "exact", "cache": {"age_s": 60.5, "saved_usd": "0.00001"}}
    shared = {"cached": "coalesced", "cache": {"age_s": 0, "saved_usd": "0.0000094"}}
    rows = [
        result("r1", **sentiment), result("r2", **sentiment, **exact), result("r3", **sentiment, **older),
        result("r4", **sentiment, **shared), result("r5"), result("r6", status="failed", output=None),
        result("r7", tenant="globex", **exact), result("r2", **sentiment, **exact),
    ]  # fmt: skip
    assert await destination.sink.write(rows) == []
    by_template, none = await destination.reader.cache("acme", LONG_AGO)
    assert by_template == CacheUse("sentiment", 4, 2, 0, 1, Decimal("0.0000288"), 91.0)
    assert (by_template.hit_rate, by_template.mean_age_s) == (0.75, 45.5)
    assert none == CacheUse(None, 1, 0, 0, 0, Decimal(0), 0.0)
    assert await destination.reader.cache("acme", NOON + HOUR) == []
