"""Time-outs for many: each is kept, and nothing else is cut off."""

import asyncio
from contextlib import suppress

import pytest

from api.deadlines import Deadlines
from tests.held import Held, is_freed_after

FAR_S = 600.0


@pytest.fixture
def deadlines() -> Deadlines:
    return Deadlines(tick_s=0.001)


def in_(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


def is_quiet(deadlines: Deadlines) -> bool:
    return deadlines._timer is None


async def test_what_is_there_in_time_is_given(deadlines: Deadlines) -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, "answer")
    assert await deadlines.of_future(future, in_(FAR_S)) == "answer"
    assert await deadlines.of(asyncio.sleep(0, "done"), in_(FAR_S)) == "done"


async def test_what_is_late_is_a_time_out_and_its_answer_harms_nobody(deadlines: Deadlines) -> None:
    future = asyncio.get_running_loop().create_future()
    with pytest.raises(TimeoutError):
        await deadlines.of_future(future, in_(0))
    assert future.done()
    with pytest.raises(TimeoutError):
        await deadlines.of(asyncio.Event().wait(), in_(0))


async def test_a_time_out_leaves_nothing_that_only_the_collector_finds(deadlines: Deadlines) -> None:
    async def asks(body: Held) -> None:
        with suppress(TimeoutError):
            await deadlines.of_future(asyncio.get_running_loop().create_future(), in_(0))
            raise AssertionError(body)

    assert await is_freed_after(asks)


async def test_a_failure_is_itself(deadlines: Deadlines) -> None:
    async def fails() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await deadlines.of(fails(), in_(FAR_S))


async def test_only_what_is_due_is_given_up(deadlines: Deadlines) -> None:
    stays = asyncio.ensure_future(deadlines.of(asyncio.Event().wait(), in_(FAR_S)))
    with pytest.raises(TimeoutError):
        await deadlines.of(asyncio.Event().wait(), in_(0))
    assert not stays.done()
    stays.cancel()


@pytest.mark.parametrize("of_future", [True, False])
async def test_who_is_cancelled_is_told_so_and_not_of_a_time_out(deadlines: Deadlines, of_future: bool) -> None:
    future = asyncio.get_running_loop().create_future()
    waits = deadlines.of_future(future, in_(FAR_S)) if of_future else deadlines.of(future, in_(FAR_S))
    task = asyncio.ensure_future(waits)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_was_given_up_can_be_timed_again(deadlines: Deadlines) -> None:
    for _ in range(2):
        with pytest.raises(TimeoutError):
            await deadlines.of(asyncio.Event().wait(), in_(0))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_nobody_looks_where_nobody_waits(deadlines: Deadlines) -> None:
    assert is_quiet(deadlines)
    await deadlines.of(asyncio.sleep(0), in_(FAR_S))
    async with asyncio.timeout(60):
        while not is_quiet(deadlines):
            await asyncio.sleep(0.001)
