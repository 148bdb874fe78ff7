"""Natural batches of several lanes."""

import asyncio
from collections.abc import Sequence

from domain.batching import ByLane


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
