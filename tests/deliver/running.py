"""A sink runner with everything around it in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import orjson

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.deliver.watcher import Watcher
from connectors.memory.broker import MemoryBroker, MemoryProducer, MemorySource
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.sink import MemorySink
from connectors.memory.sink_board import MemorySinkBoard
from domain.ports import Record
from tests.contract.messages import NOON
from topics.records import DeadLetter
from topics.table import DEAD_LETTERS

GROUP = "structured-prompt.sink-memory"
AT_ONCE = Policy("memory", first_wait_s=0.0)


@dataclass
class Delivery:
    """A runner with everything around it in memory."""

    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(now=lambda: NOON))
    sink: MemorySink = field(default_factory=MemorySink)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)
    board: MemorySinkBoard = field(default_factory=lambda: MemorySinkBoard(lambda: NOON))
    health: Condition = field(default_factory=lambda: Condition("memory", lambda: NOON))

    def __post_init__(self) -> None:
        self.producer = MemoryProducer(self.broker)
        self.source = MemorySource(self.broker, self.sink.topics, GROUP, rows=50)

    def publish(self, topic: str, *values: bytes | None) -> None:
        for value in values:
            self.broker.append(Record(topic, value, b"key", (("h", b"\xff"),)))

    def watcher(self) -> Watcher:
        return Watcher("memory", "one", self.source, self.board, self.health, self.metrics)

    def run(self, policy: Policy = AT_ONCE) -> Awaitable[None]:
        return deliver(self.source, self.sink, self.producer, policy, self.metrics, self.health)

    def uncommitted(self) -> int:
        places = [(topic, n) for topic in self.sink.topics for n in range(self.broker.partitions)]
        return sum(self.broker.end(*place) - self.broker.committed(GROUP, *place) for place in places)

    def letters(self) -> list[DeadLetter]:
        return [DeadLetter.model_validate(orjson.loads(value)) for value in self.broker.values(DEAD_LETTERS)]


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0)


async def run_until(line: Delivery, happened: Callable[[], bool], policy: Policy = AT_ONCE) -> None:
    running = asyncio.ensure_future(line.run(policy))
    try:
        await until(lambda: happened() or running.done())
        line.health.stop()
        await asyncio.wait_for(running, 5)
    finally:
        running.cancel()
