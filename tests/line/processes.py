"""Worker processes as production runs them, on the development engines: for tests that stop and kill them."""

import asyncio
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from confluent_kafka import Consumer, ConsumerGroupState, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.kafka import admin
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.jobs import PostgresJobs
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import Pool, connect
from connectors.redis.client import RedisClient
from connectors.redis.pacer import RedisPacer
from domain.accounts.model import Tenant
from domain.ledger.model import RequestRecord
from domain.pacing.model import Ask, Heard
from domain.routing.catalogue import Catalogue
from domain.settings import Settings
from ops.local.environment import clean
from tests.conftest import Engines
from topics.table import REQUESTS, RESULTS, TABLE

TENANT = "acme"
PARTITIONS = 12
T = TypeVar("T")


@dataclass
class Worker:
    """One process of the line."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    def send(self, signal: int) -> None:
        os.kill(self.process.pid, signal)

    def metric(self, name: str) -> float:
        """The sum of a counter over its labels."""
        lines = _get(f"http://127.0.0.1:{self.port}/metrics").decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"structured_prompt_{name}"))

    def is_ready(self) -> bool:
        with suppress(OSError):
            return bool(_get(f"http://127.0.0.1:{self.port}/readyz"))
        return False


@dataclass
class Processes:
    """A line of its own: topics with a prefix, a database, and whatever workers a test starts."""

    settings: Settings
    environ: dict[str, str]
    provider: str
    directory: Path
    workers: list[Worker] = field(default_factory=list)

    @property
    def ids(self) -> list[str]:
        """Of requests that no other test has, enough for every partition."""
        return [f"{self.settings.topic_prefix}{number}" for number in range(16)]

    def start(self, stages: str, port: int) -> Worker:
        """Returns when it is ready."""
        log = self.directory / f"worker-{len(self.workers)}.log"
        own = {"STRUCTURED_PROMPT_METRICS_PORT": str(port)}
        with log.open("wb") as output:
            command = [sys.executable, "-m", "cli.main", "worker", "--stage", stages]
            process = subprocess.Popen(command, env=self.environ | own, stdout=output, stderr=output)
        worker = Worker(process, port, log)
        self.workers.append(worker)
        until(worker.is_ready, 60, log.read_text)
        return worker

    def publish(self, bodies: list[dict[str, Any]]) -> None:
        producer = Producer({"bootstrap.servers": self.settings.kafka, "acks": "all", "log_level": 3})
        for body in bodies:
            producer.produce(self.settings.topic_prefix + REQUESTS, json.dumps({"tenant": TENANT, **body}))
        assert producer.flush(30) == 0

    def results(self, ids: list[str], seconds: float) -> dict[str, list[bytes]]:
        """Every production of their results, until each has one or the time is over."""
        consumer = Consumer({
            "bootstrap.servers": self.settings.kafka, "group.id": "outside", "enable.auto.commit": False,
            "log_level": 3,
        })  # fmt: skip
        topic = self.settings.topic_prefix + RESULTS
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        found: dict[str, list[bytes]] = defaultdict(list)
        deadline = time.monotonic() + seconds
        while set(ids) - set(found) and time.monotonic() < deadline:
            for message in consumer.consume(1_000, 0.2):
                if message.error() is None:
                    found[json.loads(message.value())["id"]].append(message.value())
        consumer.close()
        return found

    def calls(self) -> dict[str, int]:
        """The provider's own bill: internal id of the request and run -> calls."""
        return dict(json.loads(_get(f"{self.provider}/control"))["calls_by_request"])

    def provide(self, **how: Any) -> None:
        """Tell the simulated provider how to answer; its counters start anew."""
        url = f"{self.provider}/control"
        urllib.request.urlopen(urllib.request.Request(url, method="DELETE"), timeout=10).close()
        request = urllib.request.Request(url, json.dumps(how).encode(), {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

    def serving(self, stage: str) -> int:
        """How many members of the stage's group have partitions, 0 while they are dealt."""
        group = f"{self.settings.topic_prefix}structured-prompt.{stage}"
        client = AdminClient({"bootstrap.servers": self.settings.kafka, "log_level": 3})
        found = client.describe_consumer_groups([group])[group].result(timeout=10)
        if found.state is not ConsumerGroupState.STABLE:
            return 0
        return sum(bool(member.assignment.topic_partitions) for member in found.members)

    def find(self, ids: list[str]) -> dict[str, RequestRecord]:
        async def look(pool: Pool) -> dict[str, RequestRecord]:
            found = {id: await PostgresLedger(pool).find(TENANT, id) for id in ids}
            return {id: record for id, record in found.items() if record is not None}

        return self._ask(look)

    def repeated(self, ids: list[str]) -> int:
        """What their jobs say of it."""

        async def look(pool: Pool) -> int:
            return sum(view.repeated for view in await PostgresJobs(pool).view(TENANT, ids))

        return self._ask(look)

    def prepare(self) -> None:
        async def create(pool: Pool) -> bool:
            return await PostgresAccounts(pool).create_tenant(Tenant(TENANT))

        admin.apply(self.settings, TABLE)
        self._ask(create)
        asyncio.run(self._open())

    async def _open(self) -> None:
        """The provider has answered before and named no limit: no call waits for a first one (rule D2)."""
        client = RedisClient(self.settings.redis_url.get_secret_value(), timeout_s=5)
        models = Catalogue.simulated(self.provider).deployments
        await RedisPacer(client).pace([Ask(one.name, "before", heard=(Heard(),)) for one in models])
        await client.close()

    def forget_topics(self) -> None:
        """A broker that keeps those of every test gets slow."""
        client = AdminClient({"bootstrap.servers": self.settings.kafka, "log_level": 3})
        client.delete_topics([self.settings.topic_prefix + topic.name for topic in TABLE])

    def _ask(self, work: Callable[[Pool], Coroutine[Any, Any, T]]) -> T:
        async def run() -> T:
            pool = await connect(self.settings.database_url.get_secret_value(), 1)
            try:
                return await work(pool)
            finally:
                await pool.close()

        return asyncio.run(run())


@contextmanager
def processes(engines: Engines, database_url: str, redis_url: str, prefix: str, directory: Path) -> Iterator[Processes]:
    """Whatever was started in it is killed at its end."""
    provider = engines.provider_url
    settings = Settings(
        kafka=engines.kafka, database_url=database_url, redis_url=redis_url, clickhouse_url=engines.clickhouse_url,
        topic_prefix=prefix, replication=1, key_pepper="pepper" * 8, simulated_provider_url=provider,
    )  # fmt: skip
    environ = clean(os.environ) | {
        "KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "CLICKHOUSE_URL": engines.clickhouse_url,
        "STRUCTURED_PROMPT_TOPIC_PREFIX": prefix,
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
        "STRUCTURED_PROMPT_KEY_PEPPER": "pepper" * 8,
        "STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL": provider,
        "STRUCTURED_PROMPT_METRICS_HOST": "127.0.0.1",
    }
    line = Processes(settings, environ, provider.removesuffix("/v1"), directory)
    line.prepare()
    try:
        yield line
    finally:
        for worker in line.workers:
            worker.process.kill()
            worker.process.wait()
        line.provide()
        line.forget_topics()


def until(happened: Callable[[], bool], seconds: float, story: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not within {seconds} s: {story()[-4_000:]}"
        time.sleep(0.1)


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())
