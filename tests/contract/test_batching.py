"""Natural batches of several lanes."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from domain.batching import Batcher, ByLane
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
