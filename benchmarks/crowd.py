"""`python -m benchmarks.crowd`: what a flood does to a quiet tenant inside one infer worker, on a machine in use too.

Its clock is this process's CPU time: what idles is jumped over, so that a busy machine changes little. The stage is
ours; calls, statements and the broker are stand-ins that take the time and the CPU that ours took when last profiled.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from agents.contract import Outside, Policy
from agents.line import Delivery
from agents.source import EachSource
from agents.stage import Stage
from connectors.memory.metrics import MemoryMetrics
from domain.batching import Batcher

FLOOD, PLACES, FETCH = 6_000, 2_000, 500
QUIET, PER_SECOND = 200, 40
PROVIDER_S = 0.4


class CpuLoop(asyncio.SelectorEventLoop):
    """Its time goes on while it works, and to the next timer when there is nothing to do."""

    def __init__(self) -> None:
        self._skipped = 0.0
        super().__init__()
        selector: Any = self._selector  # type: ignore[attr-defined] # of BaseSelectorEventLoop
        select = selector.select

        def skip(timeout: float | None = None) -> Any:
            self._skipped += timeout or 0.0
            return select(0)

        selector.select = skip

    def time(self) -> float:
        return self._skipped + time.process_time()


def burn(microseconds: float) -> None:
    end = time.process_time() + microseconds / 1e6
    while time.process_time() < end:
        pass


def statement(fixed_ms: float, each_us: float) -> "Batcher[Delivery, None]":
    """A natural batch: its server takes so long, and we as much CPU as ours did."""

    async def run(items: Sequence[Delivery]) -> list[None]:
        burn(300)
        await asyncio.sleep((fixed_ms + each_us * len(items) / 1_000) / 1_000)
        burn(40 * len(items))
        return [None] * len(items)

    return Batcher(run)


class Calls:
    """The handler: take, call, settle, emit."""

    def __init__(self) -> None:
        self.outside = Outside()
        self.done: dict[bytes, float] = {}
        self._take, self._settle, self._emit = statement(3, 80), statement(4, 120), statement(3, 40)

    async def handle(self, delivery: Delivery) -> None:
        burn(80)
        await self._take.submit(delivery)
        burn(60)
        with self.outside.wait(60):
            await asyncio.sleep(PROVIDER_S)
            burn(60)
        burn(80)
        await self._settle.submit(delivery)
        await self._emit.submit(delivery)
        self.done[delivery.key or b""] = asyncio.get_running_loop().time()

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        raise RuntimeError(f"{delivery} failed") from error

    def ended(self, name: bytes) -> int:
        return sum(key.startswith(name) for key in self.done)


class Worker:
    """One lane of infer, fed from a partition."""

    def __init__(self, policy: Policy) -> None:
        self.calls = Calls()
        self._lane = EachSource("calls", self.calls, PLACES * 10 // 9, 0.9)
        stage = Stage(policy, [self._lane], MemoryMetrics())
        stage.bind(SimpleNamespace(consumer=SimpleNamespace(hold=print, resume=print)))
        self._records: deque[bytes] = deque()
        self._news = asyncio.Event()
        self._offset = 0

    def put(self, key: bytes) -> None:
        self._records.append(key)
        self._news.set()

    async def feed(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            while self._records:
                await self._lane.consume(self)

    def noack(self) -> "Worker":
        return self

    async def events(self) -> AsyncIterator[Any]:
        """One fetch."""
        records = []
        for _ in range(min(FETCH, len(self._records))):
            burn(50)
            self._offset += 1
            key = self._records.popleft()
            records.append(
                SimpleNamespace(
                    topic="calls", partition=0, offset=self._offset, key=key, value=b"{}", headers=None, timestamp=0
                )
            )
        yield SimpleNamespace(message=SimpleNamespace(records=records, generation_id=1))


async def flood(worker: Worker, name: bytes) -> float:
    """All of it as intake and wake hand it on: as many as there are places. Events a second."""
    loop = asyncio.get_running_loop()
    began, handed = loop.time(), 0
    while (ended := worker.calls.ended(name)) < FLOOD:
        for _ in range(min(FETCH, FLOOD - handed, PLACES - (handed - ended))):
            worker.put(b"%s/%d" % (name, handed))
            handed += 1
        await asyncio.sleep(0.05)
    return FLOOD / (loop.time() - began)


async def paced(worker: Worker, name: bytes) -> list[float]:
    """Milliseconds of each, sorted."""
    loop = asyncio.get_running_loop()
    due = [loop.time() + number / PER_SECOND for number in range(QUIET)]
    keys = [b"%s/%d" % (name, number) for number in range(QUIET)]
    for key, at in zip(keys, due, strict=True):
        await asyncio.sleep(max(0.0, at - loop.time()))
        worker.put(key)
    while worker.calls.ended(name) < QUIET:
        await asyncio.sleep(0.01)
    return sorted(1_000 * (worker.calls.done[key] - at) for key, at in zip(keys, due, strict=True))


async def measure(policy: Policy) -> str:
    worker = Worker(policy)
    feeding = asyncio.ensure_future(worker.feed())
    alone = await paced(worker, b"alone")
    flooding = asyncio.ensure_future(flood(worker, b"flood"))
    beside = await paced(worker, b"beside")
    slower = await flooding
    feeding.cancel()
    middle, last = QUIET // 2, QUIET * 99 // 100
    return (
        f"p50 {alone[middle]:.0f} -> {beside[middle]:.0f} ms, p99 {alone[last]:.0f} -> {beside[last]:.0f} ms "
        f"({beside[last] / alone[last]:.2f} x); the flood {slower:,.0f} events/s"
    )


def run(work: Callable[[], Awaitable[str]]) -> str:
    loop = CpuLoop()
    before = time.monotonic
    time.monotonic = loop.time
    try:
        return loop.run_until_complete(work())
    finally:
        time.monotonic = before
        loop.close()


def main() -> None:
    rule = Policy("infer")
    for name, policy in (("with", rule), ("without", replace(rule, crowded=rule.inside))):
        print(f"{name} the rule: {run(partial(measure, policy))}", flush=True)


if __name__ == "__main__":
    main()
