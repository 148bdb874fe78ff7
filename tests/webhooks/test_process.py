"""The process of destinations on a real broker, a real PostgreSQL and real sockets."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest
from confluent_kafka.admin import AdminClient
from standardwebhooks.webhooks import Webhook

from connectors.kafka import admin, security
from connectors.kafka.producer import KafkaProducer
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import Pool, connect
from domain.ports import Record
from domain.settings import Settings, load
from domain.webhooks.model import Endpoint
from domain.webhooks.signing import CALLBACKS, secret_key, shown
from ops.local.environment import clean
from tests.conftest import Engines
from tests.contract.messages import event, result
from tests.webhooks.receiver import Receiver, receiving
from topics.headers import CALLBACK_URL
from topics.table import DEAD_LETTERS, EVENTS, RESULTS, TABLE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]
TOPICS = [topic for topic in TABLE if topic.name in (RESULTS, EVENTS, DEAD_LETTERS)]
PEPPER = "p" * 32
PORT_LINE = "metrics_port"
MOST_MB = 120


@dataclass
class Stack:
    environ: dict[str, str]
    settings: Settings
    producer: KafkaProducer
    pool: Pool
    log: Path

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Running, and killed at the end unless it has ended."""
        with self.log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cli.main", "sink", "destinations", env={**clean(os.environ), **self.environ},
                stdout=output, stderr=output,
            )  # fmt: skip
        try:
            await until(lambda: self.port() is not None or process.returncode is not None)
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def port(self) -> int | None:
        found = [json.loads(line) for line in self.log.read_text().splitlines() if f'"{PORT_LINE}"' in line]
        return int(found[0][PORT_LINE]) if found else None

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port()}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    async def minute_passes(self) -> None:
        """What somebody had taken who died is free again."""
        for table in ("delivery_queue", "delivery_lanes"):
            await self.pool.fetch(
                f"UPDATE {table} SET next_at = next_at - interval '1 minute' WHERE next_at < 'infinity'"
            )

    async def subscribe(self, url: str, *events: str) -> Endpoint:
        one = Endpoint("acme", "wh_1", url, events, b"salt", datetime.now(UTC))
        await PostgresEndpoints(self.pool).add(one)
        return one


@pytest.fixture
async def stack(engines: Engines, database_url: str, topic_prefix: str, tmp_path: Path) -> AsyncIterator[Stack]:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "DATABASE_URL": database_url,
        "REDIS_URL": engines.redis_url,
        "CLICKHOUSE_URL": engines.clickhouse_url,
        "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix,
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
        "STRUCTURED_PROMPT_METRICS_PORT": "0",
        "STRUCTURED_PROMPT_KEY_PEPPER": PEPPER,
        "STRUCTURED_PROMPT_WORKER_NAME": "sink-1",
        "STRUCTURED_PROMPT_WEBHOOK_ALLOW": "127.0.0.0/8",
    }
    settings = load(environ, str)
    await asyncio.to_thread(admin.apply, settings, TOPICS)
    producer = KafkaProducer(security.librdkafka(settings), prefix=topic_prefix)
    pool = await connect(database_url, 1)
    yield Stack(environ, settings, producer, pool, tmp_path / "log")
    await pool.close()
    await producer.close()
    client = AdminClient(security.librdkafka(settings))
    for deleted in client.delete_topics([topic_prefix + topic.name for topic in TOPICS]).values():
        deleted.result(10)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


async def until(happened: Callable[[], bool], seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while not happened():
            await asyncio.sleep(0.05)


def results(*ids: str) -> list[Record]:
    return [Record(RESULTS, result(id).value, id.encode()) for id in ids]


async def test_killed_between_results_it_delivers_each_of_them_and_ends_in_order(
    stack: Stack, receiver: Receiver
) -> None:
    await stack.subscribe(receiver.url("/in"), "request.completed", "request.waiting")
    ids = [f"r{n}" for n in range(300)]
    async with stack.process():
        await stack.producer.send(results(*ids[:200]))
        await until(lambda: len(receiver.got) > 20)
    await stack.minute_passes()
    async with stack.process() as process:  # the first was killed
        callback = Record(RESULTS, result("c").value, b"c", [(CALLBACK_URL, receiver.url("/callback").encode())])
        await stack.producer.send([*results(*ids[200:]), callback, Record(EVENTS, event().value, b"acme")])
        await until(lambda: len({got.headers["webhook-id"] for got in receiver.got}) == 303)
        await until(lambda: "structured_prompt_deliveries_waiting 0.0" in stack.get("/metrics"))
        assert json.loads(stack.get("/readyz"))["ready"]
        assert psutil.Process(process.pid).memory_info().rss < MOST_MB * 1024 * 1024
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    _check(receiver)


def _check(receiver: Receiver) -> None:
    """Signed, each event under one id, and sent twice only where the process was killed in between."""
    for got in receiver.got:
        whose = (CALLBACKS, b"") if got.path == "/callback" else ("wh_1", b"salt")
        Webhook(shown(secret_key(PEPPER.encode(), "acme", *whose))).verify(got.body, got.headers)
    times = Counter(got.headers["webhook-id"] for got in receiver.got)
    said = {(json.loads(got.body)["type"], json.loads(got.body)["data"]["id"], got.path) for got in receiver.got}
    assert len(said) == len(times)
    assert sum(times.values()) - len(times) <= 64
