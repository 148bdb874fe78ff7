"""What every HealthBoard does: one view of the providers for the whole fleet."""

import time
from collections.abc import AsyncIterator

import pytest

from connectors.memory.health import MemoryHealthBoard
from connectors.redis.client import RedisClient
from connectors.redis.health import RedisHealthBoard
from domain.ports import HealthBoard
from domain.routing.health import FRESH_S, Report

NAMES = ("a/x", "b/x")


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def board(request: pytest.FixtureRequest) -> AsyncIterator[HealthBoard]:
    if request.param == "memory":
        yield MemoryHealthBoard()
        return
    client = RedisClient(request.getfixturevalue("redis_url"), timeout_s=5)
    yield RedisHealthBoard(client)
    await client.close()


def report(worker: str, at: float, answers: int = 1) -> Report:
    return Report("a/x", worker, answers, 2, 340, at)


async def test_what_workers_say_is_seen_by_all_until_they_are_silent(board: HealthBoard) -> None:
    now = time.time()
    await board.tell("w1", [report("w1", now)])
    await board.tell("w1", [report("w1", now, answers=7)])
    await board.tell("w2", [report("w2", now)])
    await board.tell("w3", [report("w3", now - FRESH_S - 1)])
    await board.tell("w4", [])
    seen = sorted(await board.look(), key=lambda one: one.worker)
    assert [(one.worker, one.answers, one.p50_ms) for one in seen] == [("w1", 7, 340), ("w2", 1, 340)]


async def test_the_first_who_finds_a_provider_down_says_so(board: HealthBoard) -> None:
    assert await board.down(NAMES) == {}
    assert await board.take_down("a/x", 100.25)
    assert not await board.take_down("a/x", 200.0)
    assert await board.down(NAMES) == {"a/x": 100.25}


async def test_the_first_who_gets_an_answer_says_that_it_is_up(board: HealthBoard) -> None:
    await board.take_down("a/x", 100.0)
    assert await board.bring_up("a/x")
    assert not await board.bring_up("a/x")
    assert await board.down(NAMES) == {}
    await board.keep_down("a/x")
    assert await board.down(NAMES) == {}
    assert await board.take_down("a/x", 300.0)
    await board.keep_down("a/x")
    assert await board.down(NAMES) == {"a/x": 300.0}


async def test_one_of_the_fleet_tries_a_deployment_at_a_time(board: HealthBoard) -> None:
    assert [await board.probe("a/x") for _ in range(3)] == [True, False, False]
    assert await board.probe("b/x")


async def test_nothing_is_asked_of_no_deployment(board: HealthBoard) -> None:
    assert await board.down([]) == {}
    assert await board.look() == []
