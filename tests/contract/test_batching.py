"""Natural batches of several lanes."""

import asyncio
import gc
import weakref
from collections.abc import Sequence
from contextlib import suppress

from domain.batching import Batcher, ByLane
from domain.errors import Unavailable


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
    class Body:
        """What a request holds."""

    async def run(batch: Sequence[Body]) -> list[None]:
        raise Unavailable(f"{len(batch)} were not written")

    async def writes(body: Body) -> None:
        with suppress(Unavailable):
            await batches.submit(body)
            raise AssertionError(body)

    batches, body = Batcher(run), Body()
    held = weakref.ref(body)
    gc.disable()
    try:
        await writes(body)
        del body
        await asyncio.sleep(0)  # what woke this task knows the failure as well
        assert held() is None
    finally:
        gc.enable()


async def test_a_batch_with_an_answer_too_few_is_a_failure_of_all() -> None:
    async def run(batch: Sequence[int]) -> list[int]:
        return list(batch[1:])

    batches = Batcher(run)
    waiting = [batches.submit(number) for number in range(3)]
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError] * 3
