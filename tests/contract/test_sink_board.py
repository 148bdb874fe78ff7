"""What every board does on which operators and sinks meet."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.memory.sink_board import MemorySinkBoard
from connectors.postgres.pool import connect
from connectors.postgres.sink_board import PostgresSinkBoard
from domain.ports import SinkBoard
from domain.sinks.model import Heard, Orders, Report, Rewind, SinkView
from domain.sinks.view import fields
from topics.table import RESULTS, USAGE

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ONE = Report("clickhouse", "one", "running", 7, 100, 2, 3, NOON, "")


@pytest.fixture
async def board(database: str | None) -> AsyncIterator[SinkBoard]:
    if database is None:
        yield MemorySinkBoard(lambda: datetime.now(UTC))
        return
    pool = await connect(database, 2)
    await pool.fetch("DELETE FROM sinks")
    await pool.fetch("DELETE FROM sink_members")
    yield PostgresSinkBoard(pool)
    await pool.close()


async def test_a_sink_is_there_once_a_process_was_heard_of(board: SinkBoard) -> None:
    assert await board.look() == []
    assert await board.tell(ONE) == Orders()
    assert await board.tell(ONE) == Orders()
    (seen,) = await board.look()
    assert (seen.name, seen.orders, [one.report for one in seen.members]) == ("clickhouse", Orders(), [ONE])
    assert abs(seen.members[0].seen_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_reports_of_several_processes_stand_side_by_side(board: SinkBoard) -> None:
    other = Report("clickhouse", "two", "waiting", 1, 0, 0, 9, None, "ClickHouse does not answer")
    for report in (other, ONE, Report("s3", "one", "running")):
        await board.tell(report)
    clickhouse, s3 = await board.look()
    assert [one.report for one in clickhouse.members] == [ONE, other]
    assert s3.name == "s3"
    now = datetime.now(UTC)
    assert (clickhouse.state(now), s3.state(now)) == ("waiting", "running")
    assert clickhouse.state(now + timedelta(minutes=1)) == "stopped"


async def test_a_pause_lasts_until_it_is_over_and_keeps_its_time(board: SinkBoard) -> None:
    assert not await board.pause("clickhouse", True)
    await board.tell(ONE)
    assert await board.pause("clickhouse", True)
    first = (await board.tell(ONE)).paused_at
    assert first is not None
    assert await board.pause("clickhouse", True)
    assert (await board.tell(ONE)).paused_at == first
    assert await board.pause("clickhouse", False)
    assert (await board.tell(ONE)).paused_at is None


async def test_a_replay_is_followed_by_each_partition_once(board: SinkBoard) -> None:
    assert await board.replay("clickhouse", NOON, {}) is None
    await board.tell(ONE)
    assert await board.replay("clickhouse", NOON, {}) == 1
    orders = await board.tell(ONE)
    assert orders == Orders(rewind=Rewind(1, NOON))
    assert orders.due(frozenset({(RESULTS, 1)})) == {(RESULTS, 1): NOON}
    await board.rewound("clickhouse", 1, {(RESULTS, 1), (USAGE, 0)})
    await board.rewound("clickhouse", 1, {(RESULTS, 1), (RESULTS, 2)})
    orders = await board.tell(ONE)
    assert orders.rewound == {(RESULTS, 1), (RESULTS, 2), (USAGE, 0)}
    assert orders.due(frozenset({(RESULTS, 1), (RESULTS, 3)})) == {(RESULTS, 3): NOON}


async def test_a_newer_replay_takes_the_place_of_the_one_before(board: SinkBoard) -> None:
    await board.tell(ONE)
    await board.replay("clickhouse", NOON, {})
    assert await board.replay("clickhouse", None, {(RESULTS, 3): 17}) == 2
    await board.rewound("clickhouse", 1, {(RESULTS, 3)})
    orders = await board.tell(ONE)
    assert orders == Orders(rewind=Rewind(2, None, {(RESULTS, 3): 17}))
    assert orders.due(frozenset({(RESULTS, 3), (USAGE, 0)})) == {(RESULTS, 3): 17, (USAGE, 0): None}


@pytest.mark.parametrize(
    ("told", "lag"),
    [
        ([("open: down", 9)], 9),
        ([("open: down", 9), ("open: down", 8)], 9),
        ([("open: down", 9), ("", 3), ("write: down", 4)], 7),
        ([], 0),
    ],
    ids=["one opens", "two open, each tells of the group", "one opens beside those that read", "none"],
)
def test_the_lag_of_processes_that_open_counts_once(told: list[tuple[str, int]], lag: int) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    members = [Heard(Report("s3", str(n), "waiting", one, detail=why), now) for n, (why, one) in enumerate(told)]
    assert fields(SinkView("s3", Orders(), tuple(members)), now)["lag"] == lag


def test_what_is_told_is_what_the_process_heard_last_waits_for() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    replaced = Heard(Report("s3", "a-old", "waiting", detail="answered 403"), now - timedelta(seconds=20))
    at_work = Heard(Report("s3", "b-new", "waiting", detail="answered 404"), now - timedelta(seconds=1))
    shown = fields(SinkView("s3", Orders(), (replaced, at_work)), now)
    assert (shown["state"], shown["detail"]) == ("waiting", "answered 404")
