"""Natural batches of several lanes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from domain.batching import PORTION, Batcher, ByLane
from domain.errors import Unavailable
from tests.held import Held, is_freed_after


async def test_L17_who_comes_in_one_lane_does_not_wait_for_the_batch_of_another() -> None:
    gate, seen = asyncio.Event(), []

    async def run(batch: Sequence[str]) -> list[str]:
        seen.append(list(batch))
        if batch[0].startswith("bulk"):
            await gate.wait()
        return [item.upper() for item in batch]

    batches = ByLane(run, max_size=2)
    flood = [batches.submit("bulk", f"bulk {number}") for number in range(3)]
    async with asyncio.timeout(5):
        assert await batches.submit("interactive", "one") == "ONE"
    assert seen == [["bulk 0", "bulk 1"], ["one"]]
    assert not any(answer.done() for answer in flood)
    gate.set()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*flood) == ["BULK 0", "BULK 1", "BULK 2"]
    assert seen[2:] == [["bulk 2"]]


async def test_a_batch_that_failed_keeps_nothing_that_only_the_collector_finds() -> None:
    async def run(batch: Sequence[Held]) -> list[None]:
        raise Unavailable(f"{len(batch)} were not written")

    async def writes(body: Held) -> None:
        with suppress(Unavailable):
            await batches.submit(body)
            raise AssertionError(body)

    batches = Batcher(run)
    assert await is_freed_after(writes)


async def test_a_batch_with_an_answer_too_few_is_a_failure_of_all() -> None:
    async def run(batch: Sequence[int]) -> list[int]:
        return list(batch[1:])

    batches = Batcher(run)
    waiting = [batches.submit(number) for number in range(3)]
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError] * 3


async def test_of_a_large_batch_a_portion_goes_on_in_a_turn_and_the_next_batch_does_not_wait_for_that() -> None:
    sizes: list[int] = []

    async def run(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return list(batch)

    batches = Batcher(run)
    waiting = [batches.submit(number) for number in range(3 * PORTION + 1)]
    done: list[int] = []
    for _ in range(4):
        await asyncio.sleep(0)
        done.append(sum(one.done() for one in waiting))
        if len(done) == 1:
            waiting.append(batches.submit(-1))
    assert done == [PORTION, 2 * PORTION + 1, 3 * PORTION + 1, 3 * PORTION + 2]
    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting) == [*range(3 * PORTION + 1), -1]
    assert sizes == [3 * PORTION + 1, 1]
