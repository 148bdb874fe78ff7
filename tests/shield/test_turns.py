"""Large bodies are read one at a time, and nobody waits for more than one of them."""

import asyncio
import time

import pytest

from api.shield.turns import SHORT_S, Turns

MANY = 50


class Readers:
    """Each holds the loop for `seconds` in its turn."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.turns = Turns()
        self.seconds = seconds
        self.done: list[int] = []
        self.times: list[tuple[float, float]] = []

    async def read(self, number: int) -> None:
        await self.turns.next()
        began = time.perf_counter()
        time.sleep(self.seconds)  # what is done in a turn does hold the loop
        self.times.append((began, time.perf_counter()))
        self.done.append(number)

    def start(self, count: int) -> list["asyncio.Task[None]"]:
        return [asyncio.create_task(self.read(number)) for number in range(count)]


async def test_whoever_needs_the_loop_often_waits_for_one_each_time() -> None:
    readers = Readers()
    tasks = readers.start(MANY)
    for _ in range(10):
        await asyncio.sleep(0)
    assert 0 < len(readers.done) <= 10
    await asyncio.gather(*tasks)
    assert readers.done == list(range(MANY))
    later = Readers.read(readers, MANY)
    await asyncio.wait_for(later, 1)


async def test_a_long_one_is_followed_by_as_long_for_all_others() -> None:
    readers = Readers(5 * SHORT_S)
    await asyncio.gather(*readers.start(3))
    gaps = [begins - ended for (_, ended), (begins, _) in zip(readers.times, readers.times[1:], strict=False)]
    # a loop's timers are as exact as a millisecond
    assert min(gaps) >= 5 * SHORT_S - 0.0015


@pytest.mark.parametrize("steps", range(6))
async def test_one_who_leaves_holds_up_nobody(steps: int) -> None:
    """Before the turn comes, while it is given, or afterwards."""
    readers = Readers()
    first, leaving, last = readers.start(3)
    for _ in range(steps):
        await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait_for(asyncio.gather(first, last), 1)
    assert set(readers.done) - {1} == {0, 2}
    await asyncio.wait_for(readers.read(3), 1)
