"""Two hours without a destination, on a clock that is turned."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.deliver.watcher import Watcher
from connectors.memory.broker import MemoryBroker, MemoryProducer, MemorySource
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.sink import MemorySink
from connectors.memory.sink_board import MemorySinkBoard
from domain.errors import Unavailable
from domain.ports import Item, Record, Refused
from tests.contract.messages import result
from tests.deliver.virtual import VirtualLoop, run
from topics.table import RESULTS

OUTAGE_S = 7200
DOWN_AT_S = 60


class DownForTwoHours(MemorySink):
    """Writes half of the batch that the outage meets, as a destination may that dies in the middle."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self.loop = loop

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        if DOWN_AT_S <= self.loop.time() < DOWN_AT_S + OUTAGE_S:
            await super().write(batch[: len(batch) // 2])
            raise Unavailable("the destination does not answer", retry_after=5.0)
        return await super().write(batch)


@pytest.mark.parametrize("policy", [Policy("memory", ways=2, ordered=False), Policy("memory", at_once=2)])
def test_a_sink_catches_up_after_two_hours_with_nothing_lost_and_nothing_twice(policy: Policy) -> None:
    run(partial(_outage, policy))


async def _outage(policy: Policy, loop: VirtualLoop) -> None:
    broker = MemoryBroker(now=loop.now)
    sink, metrics, board = DownForTwoHours(loop), MemoryMetrics(), MemorySinkBoard(loop.now)
    health = Condition("memory", loop.now)
    source = MemorySource(broker, sink.topics, "structured-prompt.sink-memory", rows=500)
    watcher = Watcher("memory", "one", source, board, health, metrics)
    tasks = [
        asyncio.ensure_future(watcher.keep()),
        asyncio.ensure_future(deliver(source, sink, MemoryProducer(broker), policy, metrics, health)),
    ]
    for second in range(DOWN_AT_S + OUTAGE_S):
        broker.append(Record(RESULTS, result(f"r{second}").value, b"%d" % second))
        await asyncio.sleep(1)
        if second == DOWN_AT_S + 3600:
            (seen,) = await board.look()
            assert (seen.state(loop.now()), health.health().ready) == ("waiting", False)
            assert 3500 < (loop.now() - (seen.members[0].report.oldest_at or loop.now())).total_seconds() < 3610
            assert metrics.value("sink_oldest_seconds", sink="memory") > 3500
            assert seen.members[0].report.lag > 3000
    await asyncio.sleep(60)
    assert set(sink.results) == {("acme", f"r{n}") for n in range(DOWN_AT_S + OUTAGE_S)}
    assert metrics.value("sink_rows", sink="memory", topic=RESULTS) == DOWN_AT_S + OUTAGE_S
    assert metrics.value("sink_oldest_seconds", sink="memory") == 0
    assert sum((await source.lag()).values()) == 0
    # Retry-After was kept: at most one write of each way, or batch, every five seconds
    assert metrics.value("sink_errors", sink="memory") <= 2 * OUTAGE_S / 5
    health.stop()
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
