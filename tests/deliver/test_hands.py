"""Two batches on their way at once: nothing is committed before what came before it, and nothing goes on unseen."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from agents.deliver.condition import Condition
from connectors.memory.sink import MemorySink
from domain.errors import Unavailable
from domain.ports import Item, Refused
from tests.contract.messages import result
from tests.deliver.running import AT_ONCE, GROUP, Delivery, until
from topics.table import RESULTS

BATCH = 50
TWO = replace(AT_ONCE, at_once=2)


class Gates(MemorySink):
    """Each write waits for its gate; the first of them is written last where it is opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.gates: list[asyncio.Future[None]] = []

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        gate = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return await super().write(batch)


@pytest.fixture
async def line() -> Delivery:
    line = Delivery(sink=Gates())
    line.broker.partitions = 1
    line.source = type(line.source)(line.broker, line.sink.topics, GROUP, rows=BATCH)
    line.publish(RESULTS, *(result(f"r{n}").value for n in range(4 * BATCH)))
    return line


def gates(line: Delivery) -> list["asyncio.Future[None]"]:
    assert isinstance(line.sink, Gates)
    return line.sink.gates


def committed(line: Delivery) -> int:
    return line.broker.committed(GROUP, RESULTS, 0)


async def a_while() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_the_second_is_written_beside_the_first_and_committed_after_it(line: Delivery) -> None:
    running = asyncio.ensure_future(line.run(TWO))
    await until(lambda: len(gates(line)) == 2)
    await a_while()
    assert len(gates(line)) == 2, "a third one waits for a place"
    gates(line)[1].set_result(None)
    await a_while()
    assert len(line.sink.results) == BATCH
    assert committed(line) == 0
    assert len(line.health.tally.in_hand) == 2
    gates(line)[0].set_result(None)
    await until(lambda: committed(line) == 2 * BATCH)
    await until(lambda: len(gates(line)) == 4)
    line.health.stop()
    for gate in gates(line)[2:]:
        gate.set_result(None)
    await asyncio.wait_for(running, 5)
    assert committed(line) == 4 * BATCH, "a stop waits for both"
    assert line.health.tally.oldest_at is None


async def test_one_alone_is_committed_though_no_other_comes(line: Delivery) -> None:
    alone = Delivery()
    alone.publish(RESULTS, result().value)
    running = asyncio.ensure_future(alone.run(TWO))
    await until(lambda: alone.uncommitted() == 0)
    assert not running.done()
    assert len(alone.sink.results) == 1
    await a_while()
    assert alone.health.tally.oldest_at is None
    alone.health.stop()
    await asyncio.wait_for(running, 5)


async def test_a_fault_in_the_first_ends_it_and_commits_nothing(line: Delivery) -> None:
    running = asyncio.ensure_future(line.run(TWO))
    await until(lambda: len(gates(line)) == 2)
    gates(line)[1].set_result(None)
    await a_while()
    gates(line)[0].set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(running, 5)
    assert committed(line) == 0


async def test_a_fault_while_nothing_comes_in_ends_it(line: Delivery) -> None:
    few = Delivery(sink=Gates())
    few.publish(RESULTS, result().value)
    running = asyncio.ensure_future(few.run(TWO))
    await until(lambda: len(gates(few)) == 1)
    await a_while()
    gates(few)[0].set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(running, 5)
    assert few.uncommitted() == 1


async def test_a_destination_that_is_away_for_the_first_holds_up_the_second_and_is_told(line: Delivery) -> None:
    line.health = Condition("memory", line.health.now)
    running = asyncio.ensure_future(line.run(replace(TWO, first_wait_s=60.0)))
    await until(lambda: len(gates(line)) == 2)
    gates(line)[0].set_exception(Unavailable("it is away"))
    gates(line)[1].set_result(None)
    await a_while()
    assert committed(line) == 0
    assert line.health.trouble == "write: it is away", "that the second was written says nothing of the first"
    line.health.stop()
    await asyncio.wait_for(running, 5)
    assert committed(line) == 0
    assert len(line.sink.results) == BATCH
