"""A process that no longer turns ends itself, a dependency that is away ends nobody (rule S6)."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from agents.contract import PATIENCE, Outside
from agents.progress import Progress, Standing
from connectors.telemetry.watchdog import Late, Patience, Watchdog
from domain.group import GroupView

A, B = ("calls", 0), ("calls", 1)
ENDS = {A: 9, B: 7}
ME, ALL = "me", frozenset({A, B})
WELL = GroupView(ENDS, {ME: ALL})


@contextmanager
def watching(dog: Watchdog) -> Iterator[None]:
    dog.start()
    try:
        yield
    finally:
        dog.stop()


async def test_S6_a_blocked_event_loop_ends_the_process() -> None:
    told: list[str] = []
    left = threading.Event()

    def leave(reason: str) -> None:
        told.append(reason)
        left.set()

    with watching(Watchdog(patience=Patience(0.2, 0.5), leave=leave)):
        await asyncio.sleep(0)
        while not left.is_set():
            time.sleep(0.05)
    assert "event loop has not turned" in told[0]


async def test_S6_work_past_its_deadline_is_red_first_and_then_ends_the_process() -> None:
    late = Late(21.0, "a call")
    told: list[str] = []
    with watching(dog := Watchdog(lambda: late, leave=told.append)):
        assert dog.trouble == "no progress for 21 s: a call"
        await asyncio.sleep(2.2)
        assert told == []
        late = Late(31.0, "a call")
        while not told:
            await asyncio.sleep(0.05)
    assert told[0] == "no progress for 31 s: a call"


async def test_S6_work_within_its_deadline_is_no_trouble() -> None:
    with watching(dog := Watchdog(lambda: Late(9.0))):
        assert dog.trouble is None


def test_S6_a_consumer_that_has_records_to_fetch_and_fetches_none_stands_still() -> None:
    progress = Progress()
    stuck = Standing(ME, {A: 5, B: 7})
    assert progress.look(stuck, WELL, 100.0) == 0
    assert progress.look(stuck, WELL, 131.0) == 31
    assert progress.reason == "nothing is fetched of calls/0"
    assert progress.look(Standing(ME, {A: 6, B: 7}), WELL, 133.0) == 0


def test_S6_a_consumer_that_never_found_where_to_begin_stands_still() -> None:
    progress = Progress()
    progress.look(Standing(ME, {A: None, B: 7}), WELL, 0.0)
    assert progress.look(Standing(ME, {A: None, B: 7}), WELL, 31.0) == 31


def test_S6_a_consumer_without_anything_to_fetch_never_stands_still() -> None:
    progress = Progress()
    progress.look(Standing(ME, {A: 9, B: 7}), WELL, 0.0)
    assert progress.look(Standing(ME, {A: 9, B: 7}), WELL, 1000.0) == 0


def test_S6_a_partition_that_is_held_on_purpose_does_not_stand_still() -> None:
    progress = Progress()
    full = Standing(ME, {A: 5, B: 7}, frozenset({A}))
    progress.look(full, WELL, 0.0)
    assert progress.look(full, WELL, 1000.0) == 0


@pytest.mark.parametrize(
    ("positions", "members", "why"),
    [
        ({}, {"other": frozenset({A})}, "without partitions, while nobody reads 1 of them"),
        ({}, {}, "without partitions, while nobody reads 2 of them"),
        ({A: 9}, {ME: ALL}, "does not read 1 partitions that the group gave it"),
        ({A: 9}, {"other": ALL}, "reads partitions, and the group does not know it"),
    ],
)
def test_S6_a_member_that_the_group_lost_is_noticed(
    positions: dict[tuple[str, int], int | None], members: dict[str, frozenset[tuple[str, int]]], why: str
) -> None:
    progress = Progress()
    progress.look(Standing(ME, positions), GroupView(ENDS, members), 0.0)
    assert progress.look(Standing(ME, positions), GroupView(ENDS, members), 31.0) == 31
    assert progress.reason == why


def test_S6_a_member_more_than_there_are_partitions_is_not_lost() -> None:
    progress = Progress()
    view = GroupView(ENDS, {"other": ALL, ME: frozenset()})
    progress.look(Standing(ME, {}), view, 0.0)
    assert progress.look(Standing(ME, {}), view, 1000.0) == 0


def test_S6_a_group_that_rebalances_has_lost_nobody() -> None:
    progress = Progress()
    progress.look(Standing(ME, {}), GroupView(ENDS, {ME: frozenset()}), 0.0)
    assert progress.look(Standing(ME, {}), GroupView(ENDS, {ME: frozenset()}, stable=False), 31.0) == 0


def test_S6_a_broker_that_is_away_is_an_excuse() -> None:
    progress = Progress()
    stuck = Standing(ME, {A: 5, B: 7})
    progress.look(stuck, WELL, 0.0)
    progress.look(stuck, WELL, 40.0)
    progress.excuse(40.0)
    assert progress.stalled == 0
    assert progress.look(stuck, WELL, 41.0) == 0
    assert progress.excused_at == 40.0


async def test_S6_a_wait_for_somebody_else_is_late_when_its_own_time_is_over() -> None:
    outside = Outside()
    now = asyncio.get_running_loop().time()
    with outside.wait(60.0), outside.wait(10.0):
        await asyncio.sleep(2 * PATIENCE + 0.01)
        assert outside.late(now) <= -9
        assert 30 <= outside.late(now + 41) <= 31
    assert (outside.count, outside.late(now)) == (0, 0.0)
