"""What both workers reach outside: addresses, a producer that answers once a batch, natural batches, the tables."""

import asyncio
import os
import sys
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import asyncpg
from confluent_kafka import Producer

T = TypeVar("T")
REQUESTS, CALLS = "prototype.requests", "prototype.calls"
RESULTS, USAGE, EVENTS = "prototype.results", "prototype.usage", "prototype.events"
TOPICS = (REQUESTS, CALLS, RESULTS, USAGE, EVENTS)
SCHEMA = """
CREATE TABLE requests (
    tenant text, id text, state text NOT NULL, body text, result text,
    owner text, epoch int NOT NULL DEFAULT 0, lease timestamptz, PRIMARY KEY (tenant, id)
) WITH (fillfactor = 60);
CREATE INDEX ON requests (id);
CREATE TABLE attempts (
    tenant text, id text, n int, model text, cost numeric, input_tokens int, output_tokens int,
    PRIMARY KEY (tenant, id, n)
);
"""


@dataclass(frozen=True, slots=True)
class Outside:
    """Addresses."""

    kafka: str
    database: str
    redis: str
    provider: str

    async def pool(self) -> "asyncpg.Pool[asyncpg.Record]":
        return await asyncpg.create_pool(self.database, min_size=4, max_size=8)


class Produced:
    """confluent-kafka with one future a batch instead of one a record."""

    def __init__(self, kafka: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "acks": "all",
                "enable.idempotence": True,
                "linger.ms": 0,
                "queue.buffering.max.messages": 500_000,
            }
        )
        self._in_flight = asyncio.Event()
        self._left = 0
        self._polling = asyncio.ensure_future(self._poll())

    async def send(self, records: Sequence[tuple[str, bytes, bytes]]) -> None:
        """Topic, key and value of each. Returns when all are acknowledged; raises RuntimeError when one is not."""
        if not records:
            return
        done = asyncio.get_running_loop().create_future()
        left = len(records)

        def delivered(error: Any, _message: Any) -> None:
            nonlocal left
            left -= 1
            if error is not None and not done.done():
                done.set_exception(RuntimeError(str(error)))
            if left == 0 and not done.done():
                done.set_result(None)

        for topic, key, value in records:
            self._producer.produce(topic, value, key=key, on_delivery=delivered)
        self._left += 1
        self._in_flight.set()
        try:
            await done
        finally:
            self._left -= 1

    async def _poll(self) -> None:
        """Each millisecond while something is in flight: a line at rest takes nothing from the one beside it."""
        while True:
            await self._in_flight.wait()
            self._producer.poll(0)
            if not self._left:
                self._in_flight.clear()
            await asyncio.sleep(0.001)


class NaturalBatches(Generic[T]):
    """The next batch is what arrived while the last one ran. A batch that fails for good ends the process."""

    def __init__(self, run: Callable[[list[T]], Awaitable[None]], largest: int = 500) -> None:
        self._run = run
        self._largest = largest
        self._waiting: deque[T] = deque()
        self._task: asyncio.Task[None] | None = None

    def add(self, item: T) -> None:
        self._waiting.append(item)
        if self._task is None:
            self._task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        while self._waiting:
            count = min(len(self._waiting), self._largest)
            await _patiently(self._run, [self._waiting.popleft() for _ in range(count)])
        self._task = None


async def _patiently(run: Callable[[list[T]], Awaitable[None]], batch: list[T]) -> None:
    for _ in range(20):
        try:
            return await run(batch)
        except Exception:  # noqa: BLE001 - tried again, and said
            traceback.print_exc(file=sys.stderr)
            await asyncio.sleep(0.2)
    os._exit(3)
