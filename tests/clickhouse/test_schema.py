"""The schema on the real engine: what contracts.md promises, however often it is applied."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from connectors.clickhouse.answers import store_answers
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.errors import ServerTrouble
from connectors.clickhouse.migrate import apply, migrations, upgrade
from connectors.clickhouse.sink import ClickHouseSink
from tests.conftest import with_path
from tests.contract.messages import NOON, call, event, item, result
from topics.table import RESULTS

pytestmark = pytest.mark.integration
COLUMNS = {
    "results": "tenant id run status error_code provider model cached template template_version "
    "api_key_id batch_id tags input_tokens output_tokens cached_input_tokens reasoning_tokens cost_usd attempts "
    "queued_ms provider_ms total_ms submitted_at completed_at output",
    "calls": "id tenant run attempt api_key_id provider model template tags outcome repaired input_tokens "
    "output_tokens cached_input_tokens reasoning_tokens cost_usd price_version latency_ms provider_request_id at",
    "events": "event_id type tenant id run at data",
    "usage_hourly": "hour tenant api_key_id provider model template tags requests completed failed rejected cached "
    "input_tokens output_tokens cost_usd p50_ms p95_ms p99_ms",
    "usage_daily": "day tenant api_key_id provider model template tags requests completed failed rejected cached "
    "input_tokens output_tokens cost_usd p50_ms p95_ms p99_ms",
}


@pytest.fixture
async def clickhouse(clickhouse_url: str) -> AsyncIterator[ClickHouse]:
    async with ClickHouse(clickhouse_url) as client:
        await apply(client)
        yield client


async def rows(clickhouse: ClickHouse, sql: str) -> list[dict[str, Any]]:
    return await clickhouse.select(sql, {})


@pytest.mark.parametrize("table", COLUMNS)
async def test_a_table_has_the_columns_of_the_contract(clickhouse: ClickHouse, table: str) -> None:
    found = {row["name"] for row in await rows(clickhouse, f"DESCRIBE TABLE {table}")}
    assert set(COLUMNS[table].split()) <= found


async def test_money_is_exact(clickhouse: ClickHouse) -> None:
    for table in ("results", "calls"):
        types = {row["name"]: row["type"] for row in await rows(clickhouse, f"DESCRIBE TABLE {table}")}
        assert types["cost_usd"] == "Decimal(18, 9)"
    await ClickHouseSink(clickhouse).write([call(str(n), cost_usd="0.000000001") for n in range(7)])
    assert (await rows(clickhouse, "SELECT sum(cost_usd) AS c FROM usage_daily")) == [{"c": "0.000000007"}]


async def test_money_beyond_the_column_is_refused_and_not_rounded(clickhouse: ClickHouse) -> None:
    huge = item(RESULTS, result().value.replace(b"0.0000094", b"9999999999.0"))
    assert [one.item for one in await ClickHouseSink(clickhouse).write([huge])] == [huge]


def test_no_two_files_have_the_same_number() -> None:
    versions = [migration.version for migration in migrations()]
    assert versions == sorted(set(versions))


async def test_every_statement_may_be_repeated(clickhouse: ClickHouse) -> None:
    await ClickHouseSink(clickhouse).write([result(), call()])
    for migration in migrations():
        for statement in migration.statements:
            await clickhouse.execute(statement)
    assert await rows(clickhouse, "SELECT requests FROM usage_daily") == [{"requests": 1}]
    assert await apply(clickhouse) == []


async def test_upgrade_creates_the_database_and_may_run_twice_at_once(clickhouse_url: str) -> None:
    url = with_path(clickhouse_url, clickhouse_url.rpartition("/")[2] + "-new")
    async with ClickHouse(url) as clickhouse:
        try:
            await asyncio.gather(asyncio.to_thread(upgrade, url), asyncio.to_thread(upgrade, url))
            assert len(await rows(clickhouse, "SELECT version FROM schema_versions FINAL")) == len(migrations())
        finally:
            await clickhouse.execute(f"DROP DATABASE IF EXISTS `{clickhouse.database}`", database="default")


async def test_a_database_without_schema_says_what_to_run(clickhouse_url: str) -> None:
    async with ClickHouse(clickhouse_url) as clickhouse:
        with pytest.raises(ServerTrouble, match="structured-prompt migrate"):
            await ClickHouseSink(clickhouse).write([result()])


async def test_a_wrong_password_refuses_no_row(clickhouse: ClickHouse, clickhouse_url: str) -> None:
    async with ClickHouse(clickhouse_url.replace("@", "x@")) as stranger:
        with pytest.raises(ServerTrouble, match="check user and password"):
            await ClickHouseSink(stranger).write([result()])


async def test_a_column_of_another_type_is_a_wait_that_names_it_and_condemns_no_row(clickhouse: ClickHouse) -> None:
    sink = ClickHouseSink(clickhouse)
    await sink.open()
    await clickhouse.execute("ALTER TABLE results MODIFY COLUMN model UInt32")
    foreign = item(RESULTS, b"poison")
    with pytest.raises(ServerTrouble, match=r"column model .*results_mapping.*docs/sinks\.md"):
        await sink.write([result(), call()])
    assert [one.item for one in await sink.write([foreign])] == [foreign]
    await clickhouse.execute("ALTER TABLE results MODIFY COLUMN model LowCardinality(String)")
    assert await sink.write([result(), call()]) == []
    assert await rows(clickhouse, "SELECT model FROM results FINAL") == [{"model": "small"}]


@pytest.mark.parametrize(
    ("change", "said", "mended", "kept"),
    [
        ("DROP COLUMN model", "results.model (missing)", "ALTER TABLE results ADD COLUMN model String", "small"),
        (
            "MODIFY COLUMN cost_usd Decimal(18, 2)",
            "results.cost_usd (Decimal(18, 2), not Decimal(18, 9))",
            "ALTER TABLE results MODIFY COLUMN cost_usd Decimal(18, 9)",
            "0.0000094",
        ),
        (
            "MODIFY COLUMN total_ms UInt8",
            "results.total_ms (UInt8, not UInt64)",
            "ALTER TABLE results MODIFY COLUMN total_ms UInt64",
            421,
        ),
    ],
)
async def test_a_column_that_changes_while_the_sink_runs_is_a_wait_that_loses_no_value(
    clickhouse: ClickHouse, change: str, said: str, mended: str, kept: Any
) -> None:
    sink = ClickHouseSink(clickhouse)
    await sink.open()
    assert await sink.write([result("before")]) == []
    await clickhouse.execute(f"ALTER TABLE results {change}")
    for step in (sink.write([result()]), sink.write([result()]), sink.open()):
        with pytest.raises(ServerTrouble, match=r"docs/sinks\.md") as raised:
            await step
        assert said in str(raised.value)
        assert mended in str(raised.value)
    await clickhouse.execute(mended)
    assert await sink.write([result()]) == []
    name = said.partition(" ")[0].removeprefix("results.")
    assert await rows(clickhouse, f"SELECT {name} AS kept FROM results FINAL WHERE id = 'r1'") == [{"kept": kept}]


async def test_what_an_operator_adds_or_makes_wider_is_no_trouble(clickhouse: ClickHouse) -> None:
    sink = ClickHouseSink(clickhouse)
    await sink.open()
    for change in ("ADD COLUMN region String", "MODIFY COLUMN cost_usd Decimal(38, 18)", "MODIFY COLUMN run Int64"):
        await clickhouse.execute(f"ALTER TABLE results {change}")
        assert await sink.write([result()]) == []
    await sink.open()


async def test_a_result_is_mapped_field_by_field(clickhouse: ClickHouse) -> None:
    fields = {
        "status": "failed",
        "output": None,
        "error": {"code": "invalid_output", "message": "no", "errors": [{"path": "/a", "message": "b"}]},
        "template": {"name": "sentiment", "version": 3},
        "output_schema": {"name": "s", "version": 1},
        "api_key_id": "k1",
        "batch_id": "b1",
        "tags": {"z": "1", "a": "ü"},
        "metadata": {"deep": {"er": [1, None, "x"]}},
        "timings": {"queued_ms": -3, "provider_ms": 5, "total_ms": 10_000_000_000},
    }
    await ClickHouseSink(clickhouse).write([result(**fields)])
    (row,) = await rows(clickhouse, "SELECT * FROM results FINAL")
    assert row == {
        "tenant": "acme", "id": "r1", "run": 1, "status": "failed", "error_code": "invalid_output",
        "provider": "simulated", "model": "small", "cached": "", "cache_age_s": 0, "saved_usd": "0",
            "template": "sentiment", "template_version": 3,
        "api_key_id": "k1", "batch_id": "b1", "tags": {"a": "ü", "z": "1"}, "input_tokens": 31, "output_tokens": 8,
        "cached_input_tokens": 0, "reasoning_tokens": 0, "cost_usd": "0.0000094", "attempts": 1,
        "queued_ms": 0, "provider_ms": 5, "total_ms": 10_000_000_000,
        "submitted_at": "2026-11-20 12:00:00.000", "completed_at": "2026-11-20 12:00:00.000", "output": "",
    }  # fmt: skip


async def test_a_field_of_a_later_version_is_ignored(clickhouse: ClickHouse) -> None:
    later = item(RESULTS, result().value.replace(b'"usage":{', b'"novel":{"a":[1]},"usage":{"novel":true,'))
    assert await ClickHouseSink(clickhouse).write([later]) == []
    assert await rows(clickhouse, "SELECT input_tokens FROM results FINAL") == [{"input_tokens": 31}]


async def test_an_attempt_tells_whether_its_answer_was_repaired(clickhouse: ClickHouse) -> None:
    await ClickHouseSink(clickhouse).write([call("r1"), call("r2", repaired=True)])
    found = await rows(clickhouse, "SELECT id, repaired FROM calls FINAL ORDER BY id")
    assert found == [{"id": "r1", "repaired": False}, {"id": "r2", "repaired": True}]


async def test_an_event_keeps_its_data_as_text(clickhouse: ClickHouse) -> None:
    await ClickHouseSink(clickhouse).write([event(data={"reason": "limit", "n": [1, 2]}), event("e2", id=None)])
    found = await rows(clickhouse, "SELECT event_id, id, data FROM events FINAL ORDER BY event_id")
    assert [(row["event_id"], row["id"], row["data"]) for row in found] == [
        ("e1", "r1", '{"reason":"limit","n":[1,2]}'),
        ("e2", "", "{}"),
    ]


async def test_answers_are_kept_only_where_the_tenant_wants_it(clickhouse: ClickHouse) -> None:
    sink = ClickHouseSink(clickhouse)
    await sink.write([result("before")])
    await store_answers(clickhouse, "acme", True)
    await sink.write([result("kept"), result("other", tenant="other")])
    await store_answers(clickhouse, "acme", False)
    await sink.write([result("after")])
    found = await rows(clickhouse, "SELECT id, output FROM results FINAL WHERE output != ''")
    assert found == [{"id": "kept", "output": '{"label":"positive"}'}]


@pytest.mark.parametrize("merge", ["0", "1"])
async def test_C1_the_views_are_right_whatever_the_reader_sets(clickhouse: ClickHouse, merge: str) -> None:
    sink = ClickHouseSink(clickhouse)
    for _ in range(2):
        await sink.write([result(), result(run=2, completed_at=NOON + timedelta(days=1)), call(), call(run=2)])
    setting = f"SETTINGS do_not_merge_across_partitions_select_final = {merge}"
    for view in ("usage_hourly", "usage_daily"):
        total = f"SELECT sum(requests) AS n, sum(cost_usd) AS cost FROM {view} {setting}"
        assert await rows(clickhouse, total) == [{"n": 1, "cost": "0.0000188"}]


async def test_C1_rows_of_many_days_go_in_at_once(clickhouse: ClickHouse) -> None:
    batch = [result(str(n), completed_at=NOON - timedelta(days=n)) for n in range(150)]
    assert await ClickHouseSink(clickhouse).write(batch) == []
    assert await rows(clickhouse, "SELECT count() AS n FROM results FINAL") == [{"n": 150}]
