"""What Snowflake's sink does beside what every sink does, against fakesnow (tests/fakes), which is not Snowflake."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from connectors.snowflake import statements as say
from connectors.snowflake.client import Account, Snowflake
from connectors.snowflake.sink import SnowflakeSink
from domain.errors import InvalidSettings, Unavailable
from tests.contract.messages import NOON, call, event, result
from tests.contract.sinks import numbered
from tests.contract.warehouses import snowflake_sink
from topics.table import RESULTS

pytestmark = pytest.mark.integration


@pytest.fixture
async def reader(snowflake_url: str) -> AsyncIterator[Snowflake]:
    schema = f"S{secrets.token_hex(4)}".upper()
    made = Snowflake(Account("fakesnow", "reader", "ANALYTICS", schema, endpoint=snowflake_url))
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def sink(reader: Snowflake, snowflake_url: str) -> AsyncIterator[SnowflakeSink]:
    made = snowflake_sink(snowflake_url, reader._account.schema)
    yield made
    await made.close()


async def test_the_latest_run_and_the_known_outcome_stay_whatever_the_order(
    sink: SnowflakeSink, reader: Snowflake
) -> None:
    failed = result(status="failed", output=None, error={"code": "internal", "message": "no"})
    later = result(run=2, completed_at=NOON + timedelta(days=2))
    conflict = result("other", run=0, status="rejected", output=None, error={"code": "id_conflict", "message": "x"})
    unknown = call(outcome="unknown", input_tokens=0, output_tokens=0, cost_usd="0")
    for batch in ([failed, unknown, conflict, event()], [later, call(), failed], [failed, unknown]):
        assert await sink.write(numbered(batch)) == []
    rows = await reader.run("SELECT id, run, status, cost_usd, completed_at, tags FROM results")
    assert [row[:3] for row in rows] == [("r1", 2, "completed")]
    assert rows[0][3:5] == (Decimal("0.0000094"), (NOON + timedelta(days=2)).replace(tzinfo=None))
    assert await reader.run("SELECT outcome, cost_usd FROM calls") == [("ok", Decimal("0.0000094"))]


async def test_a_crash_between_any_two_statements_loses_and_doubles_nothing(
    sink: SnowflakeSink, reader: Snowflake, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, batch = sink._snowflake, numbered([result("a"), result("b")])
    run, left = ours.run, 0

    async def breaking(statement: str, arguments: Any = ()) -> Any:
        nonlocal left
        answer = await run(statement, arguments)
        left -= 1
        if left < 0:
            await ours.close()
            raise Unavailable("the connection was lost after it took effect")
        return answer

    for point in range(4):
        await sink.open()
        left = point
        monkeypatch.setattr(ours, "run", breaking)
        with pytest.raises(Unavailable):
            await sink.write(batch)
        monkeypatch.setattr(ours, "run", run)
    assert await sink.write(batch) == []
    assert sorted(await reader.run("SELECT id FROM results")) == [("a",), ("b",)]


async def test_missing_columns_are_added_and_a_drifted_table_is_a_wait_that_says_where(
    sink: SnowflakeSink, reader: Snowflake
) -> None:
    await sink.open()
    await reader.run("ALTER TABLE results DROP COLUMN subject")
    await sink.open()
    assert await sink.write(numbered([result(subject="user-7")])) == []
    assert await reader.run("SELECT subject FROM results") == [("user-7",)]
    await reader.run("ALTER TABLE events DROP COLUMN type")
    await reader.run("ALTER TABLE events ADD COLUMN type NUMBER")
    with pytest.raises(Unavailable, match="TYPE is NUMBER, not VARCHAR"):
        await sink.open()


async def test_a_column_that_would_round_or_cut_is_a_wait_that_names_it(sink: SnowflakeSink, reader: Snowflake) -> None:
    await sink.open()
    await reader.run("ALTER TABLE results DROP COLUMN cost_usd")
    await reader.run("ALTER TABLE results ADD COLUMN cost_usd NUMBER(38,2)")
    with pytest.raises(Unavailable, match=r"COST_USD is NUMBER\(38,2\), not NUMBER\(38,18\); put it right or rename"):
        await sink.open()


@pytest.mark.parametrize(
    ("name", "sizes", "less"),
    [
        ("MODEL", ("TEXT", 16_777_216, None, None), False),
        ("MODEL", ("TEXT", 10, None, None), True),
        ("COST_USD", ("NUMBER", None, 38, 18), False),
        ("COST_USD", ("NUMBER", None, 38, 0), True),
        ("COST_USD", ("NUMBER", None, 30, 18), True),
        ("TOTAL_MS", ("NUMBER", None, 38, 0), False),
        ("TOTAL_MS", ("NUMBER", None, 5, 0), True),
        ("REGION", ("TEXT", 2, None, None), False),
    ],
)
def test_sizes_that_take_less(name: str, sizes: tuple[str, int | None, int | None, int | None], less: bool) -> None:
    assert bool(say.narrower(RESULTS, [(name, *sizes)])) is less


async def test_a_table_that_was_dropped_is_made_anew(sink: SnowflakeSink, reader: Snowflake) -> None:
    await sink.write(numbered([event()]))
    await reader.run("DROP TABLE events")
    with pytest.raises(Unavailable, match=r"docs/sinks\.md"):
        await sink.write(numbered([event()]))
    assert await sink.write(numbered([event()])) == []
    assert await reader.run("SELECT event_id FROM events") == [("e1",)]


@pytest.mark.parametrize("given", [{"private_key": "topsecret"}, {}])
def test_without_a_key_that_is_one_it_says_so_at_the_start(given: dict[str, str]) -> None:
    with pytest.raises(InvalidSettings, match="PRIVATE_KEY") as raised:
        Snowflake(Account("a", "u", "d", "s", **given))  # type: ignore[arg-type]
    assert "topsecret" not in str(raised.value)
