"""A worker for the stage's tests: one topic in, one topic out, and a handler that does what each record tells it.

A record is JSON: {"n": 7, "sleep": 0.05, "raise": false}. Its number comes out on the out topic, `N buried` when it
raised. MODE: each | batch run on the stage; plain is an ordinary Faust agent, the negative control.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from agents.app import Broker, build, run
from agents.contract import Outside, Policy
from agents.lateness import lateness
from agents.line import Delivery
from agents.source import BatchSource, EachSource
from agents.stage import Stage
from connectors.kafka.producer import KafkaProducer
from connectors.memory.metrics import MemoryMetrics
from connectors.telemetry import logs
from connectors.telemetry.watchdog import Late, Watchdog
from domain.ports import Record

BROKER, GROUP = os.environ["BROKER"], os.environ["GROUP"]
SOURCE, TARGET = os.environ["SOURCE"], os.environ["TARGET"]
MODE, SLOTS = os.environ.get("MODE", "each"), int(os.environ.get("SLOTS", "200"))
MEMBER = os.environ.get("MEMBER")
HUNG = Path(os.environ.get("HUNG", "/dev/null"))


class Echo:
    """Does what the record says, then says that it did."""

    def __init__(self, producer: KafkaProducer) -> None:
        self._producer = producer
        self.outside = Outside()

    async def handle(self, delivery: Delivery) -> None:
        with self.outside.wait(json.loads(delivery.value or b"{}").get("limit", 600.0)):
            await self._work(delivery)
        await self._say(delivery, b"")

    async def handle_batch(self, batch: Sequence[Delivery]) -> None:
        await asyncio.gather(*(self._work(delivery) for delivery in batch))
        await self._producer.send([Record(TARGET, _number(d), _number(d)) for d in batch])

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        await self._say(delivery, b" buried")

    async def _work(self, delivery: Delivery) -> None:
        task = json.loads(delivery.value or b"{}")
        print(f"began {task['n']}", flush=True)
        await asyncio.sleep(task.get("sleep", 0))
        if task.get("hang") and not HUNG.exists():
            HUNG.touch()
            await asyncio.Event().wait()
        if task.get("raise"):
            raise RuntimeError("boom")

    async def _say(self, delivery: Delivery, what: bytes) -> None:
        await self._producer.send([Record(TARGET, _number(delivery) + what, _number(delivery))])


def _number(delivery: Delivery) -> bytes:
    return str(json.loads(delivery.value or b"{}")["n"]).encode()


def staged() -> None:
    logs.set_up(stage="test")
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    producer = KafkaProducer({"bootstrap.servers": BROKER})
    echo = Echo(producer)
    source = EachSource(SOURCE, echo, SLOTS) if MODE == "each" else BatchSource(SOURCE, echo)
    stage = Stage(Policy("test", fault_limit=100_000), [source], MemoryMetrics())

    dog = Watchdog(lambda: Late(*lateness([(stage, app.progress)], None, None, time.monotonic())))

    async def begin() -> None:
        dog.start()
        print("up", flush=True)

    app = build(GROUP, Broker(BROKER, member=MEMBER), stage, begin, producer.close)
    run([app], loop)


def plain() -> None:
    import faust

    app = faust.App(
        GROUP, broker="kafka://" + BROKER, store="memory://", web_enabled=False, topic_disable_leader=True,
        topic_allow_declare=False, consumer_auto_offset_reset="earliest", stream_wait_empty=False,
        broker_session_timeout=10.0, broker_heartbeat_interval=2.0, broker_commit_interval=0.5,
    )  # fmt: skip
    target = app.topic(TARGET, value_serializer="raw", key_serializer="raw")

    @app.agent(app.topic(SOURCE, value_serializer="raw"), concurrency=200)
    async def agent(stream: Any) -> None:
        async for value in stream:
            task = json.loads(value)
            await asyncio.sleep(task.get("sleep", 0))
            if task.get("raise"):
                raise RuntimeError("boom")
            await (await target.send(key=str(task["n"]).encode(), value=str(task["n"]).encode()))

    faust.Worker(app, loglevel="ERROR", quiet=True).execute_from_commandline()


if __name__ == "__main__":
    sys.exit(plain() if MODE == "plain" else staged())
