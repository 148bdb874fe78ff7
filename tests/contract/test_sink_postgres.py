"""What the PostgreSQL sink keeps, beside what every sink does."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from connectors.postgres.pool import Pool, connect
from connectors.postgres.sink import PostgresSink
from domain.errors import Unavailable
from tests.contract.messages import NOON, call, event, item, result
from topics.table import RESULTS

pytestmark = pytest.mark.integration


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[Pool]:
    pool = await connect(database_url, 1)
    await pool.fetch("DROP SCHEMA IF EXISTS structured_prompt CASCADE")
    yield pool
    await pool.close()


@pytest.fixture
async def sink(reader: Pool, database_url: str) -> AsyncIterator[PostgresSink]:
    made = PostgresSink(database_url)
    await made.open()
    yield made
    await made.close()


async def rows(reader: Pool, table: str) -> list[dict[str, Any]]:
    return [dict(row) for row in await reader.fetch(f"SELECT * FROM structured_prompt.{table}")]


async def test_every_field_has_its_column(sink: PostgresSink, reader: Pool) -> None:
    template = {"name": "sentiment", "version": 2}
    odd = {"note": "nul \0, smile \U0001f600, no nul \\u0000"}
    kept = {"note": "nul \ufffd, smile \U0001f600, no nul \\u0000"}
    given = result(template=template, api_key_id="k1", subject="user-7", metadata=odd, output=odd, cached="exact")
    assert await sink.write([given, call(template=template, repaired=True), event(data={"a": [1]})]) == []
    (row,) = await rows(reader, "results")
    assert {name: orjson.loads(row.pop(name)) for name in ("tags", "metadata", "output")} == {
        "tags": {"team": "support"}, "metadata": kept, "output": kept,
    }  # fmt: skip
    assert row == {
        "tenant": "acme", "id": "r1", "run": 1, "status": "completed", "error_code": None, "provider": "simulated",
        "model": "small", "cached": "exact", "template": "sentiment", "template_version": 2, "api_key_id": "k1",
        "batch_id": None, "subject": "user-7", "input_tokens": 31, "output_tokens": 8, "cached_input_tokens": 0,
        "reasoning_tokens": 0, "cost_usd": Decimal("0.0000094"), "attempts": 1, "queued_ms": 4, "provider_ms": 412,
        "total_ms": 421, "submitted_at": NOON, "completed_at": NOON,
    }  # fmt: skip
    (row,) = await rows(reader, "calls")
    assert (row["attempt"], row["outcome"], row["repaired"], row["cost_usd"], row["at"]) == (
        1, "ok", True, Decimal("0.0000094"), NOON,
    )  # fmt: skip
    (row,) = await rows(reader, "events")
    assert (row["event_id"], row["type"], orjson.loads(row["data"])) == ("e1", "request.waiting", {"a": [1]})


async def test_an_older_run_never_takes_the_place_of_a_newer_one(sink: PostgresSink, reader: Pool) -> None:
    failed = result(status="failed", output=None, error={"code": "internal", "message": "no"})
    later = result(run=2, completed_at=NOON + timedelta(days=2))
    for batch in ([later], [failed], [failed, later], [later, failed]):
        assert await sink.write(batch) == []
        (row,) = await rows(reader, "results")
        assert (row["run"], row["status"], row["error_code"]) == (2, "completed", None)


async def test_a_known_outcome_takes_the_place_of_an_unknown_one(sink: PostgresSink, reader: Pool) -> None:
    unknown = call(outcome="unknown", input_tokens=0, output_tokens=0, cost_usd="0")
    for batch in ([unknown], [unknown, call()], [unknown]):
        assert await sink.write(batch) == []
    (row,) = await rows(reader, "calls")
    assert (row["outcome"], row["cost_usd"]) == ("ok", Decimal("0.0000094"))


async def test_an_id_conflict_is_not_a_request(sink: PostgresSink, reader: Pool) -> None:
    conflict = result(run=0, status="rejected", output=None, error={"code": "id_conflict", "message": "other body"})
    assert await sink.write([conflict]) == []
    assert await rows(reader, "results") == []


@pytest.mark.parametrize(
    "value",
    [b"", b" ", b"nope", b"null", b"5", b'"text"', b"{}", b'{"id": "x"', b"}", b"\xff\xfe", b"a\x00",
     result("x").value + result("y").value, result("x").value[:-1],
     result("x").value.replace(b'"run":1', b'"run":"one"'), result("x").value.replace(b'"run":1', b'"run":1e30'),
     result("x").value.replace(b'"completed"', b'"finished"'),
     result("x").value.replace(b"2026-11-20T12", b"yesterday"), b'{"a":' + b"[" * 9000 + b"]" * 9000 + b"}"],
    ids=lambda value: repr(value[:30]),
)  # fmt: skip
async def test_poison_is_refused_and_never_its_neighbours(sink: PostgresSink, reader: Pool, value: bytes) -> None:
    poison = item(RESULTS, value, offset=7)
    refused = await sink.write([result("before"), poison, result("after")])
    assert [one.item for one in refused] == [poison]
    assert refused[0].reason
    assert {row["id"] for row in await rows(reader, "results")} == {"before", "after"}


async def test_the_reason_of_a_refused_row_quotes_nothing_of_it(sink: PostgresSink, reader: Pool) -> None:
    await reader.fetch("ALTER TABLE structured_prompt.results ADD CONSTRAINT ours CHECK (subject IS NULL)")
    unwanted = result("x", subject="private", output="private")._replace(offset=1)
    broken = item(RESULTS, result("y").value.replace(b'"run":1', b'"run":"private"'), offset=2)
    refused = await sink.write([unwanted, broken])
    assert [one.item for one in refused] == [unwanted, broken]
    assert 'violates check constraint "ours"' in refused[0].reason
    assert not [one.reason for one in refused if "private" in one.reason]


async def test_writes_side_by_side_do_not_stand_in_one_anothers_way(sink: PostgresSink, reader: Pool) -> None:
    many = [result(f"r{n}", run=run) for run in (2, 1) for n in range(300)]
    for _ in range(5):
        assert await asyncio.gather(sink.write(many), sink.write(many[::-1])) == [[], []]
    assert {row["run"] for row in await rows(reader, "results")} == {2}


async def test_a_table_that_has_drifted_is_a_wait_with_its_remedy(sink: PostgresSink, reader: Pool) -> None:
    await reader.fetch("ALTER TABLE structured_prompt.results DROP COLUMN subject")
    with pytest.raises(Unavailable, match=r"docs/sinks\.md"):
        await sink.write([result()])


async def test_a_column_that_must_not_be_null_and_no_record_has_is_a_wait_that_names_it(
    sink: PostgresSink, reader: Pool
) -> None:
    await reader.fetch("ALTER TABLE structured_prompt.results ADD COLUMN region text NOT NULL")
    await reader.fetch("ALTER TABLE structured_prompt.calls ADD COLUMN region text NOT NULL DEFAULT 'eu'")
    for step in (sink.write([result()]), sink.open()):
        with pytest.raises(Unavailable, match=r"no record has: results\.region; .*docs/sinks\.md"):
            await step
    await reader.fetch("ALTER TABLE structured_prompt.results ALTER COLUMN region SET DEFAULT 'eu'")
    poison = item(RESULTS, b"{}", offset=7)
    assert [one.item for one in await sink.write([result(), poison])] == [poison]


@pytest.mark.parametrize(
    ("column", "type", "declared", "kept"),
    [
        ("cost_usd", "integer", "numeric", Decimal("0.0000094")),
        ("cost_usd", "numeric(20,4)", "numeric", Decimal("0.0000094")),
        ("completed_at", "timestamp(0) with time zone", "timestamptz", NOON + timedelta(milliseconds=421)),
        ("model", "character varying(3)", "text", "small"),
        ("total_ms", "smallint", "bigint", 70_000),
    ],
)
async def test_a_column_that_takes_less_is_a_wait_that_names_it_and_nothing_is_rounded_or_refused(
    sink: PostgresSink, reader: Pool, column: str, type: str, declared: str, kept: Any
) -> None:
    at, timings = NOON + timedelta(milliseconds=421), {"queued_ms": 4, "provider_ms": 412, "total_ms": 70_000}
    given = result(completed_at=at, timings=timings)
    await reader.fetch(f"ALTER TABLE structured_prompt.results ALTER COLUMN {column} TYPE {type}")
    mend = f"ALTER TABLE structured_prompt.results ALTER COLUMN {column} TYPE {declared}"
    for step in (sink.write([given]), sink.open()):
        with pytest.raises(Unavailable, match=r"docs/sinks\.md") as raised:
            await step
        assert f"results.{column} ({type}, not {declared})" in str(raised.value)
        assert mend in str(raised.value)
    assert await rows(reader, "results") == []
    await reader.fetch(mend)
    await sink.open()
    assert await sink.write([given]) == []
    assert [row[column] for row in await rows(reader, "results")] == [kept]


async def test_columns_that_take_as_much_or_more_are_no_trouble(sink: PostgresSink, reader: Pool) -> None:
    await reader.fetch("DROP DOMAIN IF EXISTS wide")
    await reader.fetch("CREATE DOMAIN wide AS bigint")
    for change in ("cost_usd TYPE numeric(38,18)", "run TYPE wide", "model TYPE varchar(255)", "output TYPE jsonb",
                   "completed_at TYPE timestamp(3)", "total_ms TYPE numeric"):  # fmt: skip
        await reader.fetch(f"ALTER TABLE structured_prompt.results ALTER COLUMN {change}")
    await sink.open()
    assert await sink.write([result()]) == []
    ((found,),) = await reader.fetch("SELECT completed_at FROM structured_prompt.results")
    assert found == NOON.replace(tzinfo=None)
