"""Webhooks: `KAFKA_BOOTSTRAP_SERVERS=… DATABASE_URL=… python -m benchmarks.webhooks [RUNS]`.

Results lie on their topic; the process that production runs reads them, queues them, and delivers them to a receiver on
this machine. First how many a second, then how late a healthy endpoint is told, alone and beside 50 that hang, drip,
refuse or fail and have a backlog each. In a database and topics of its own, which it removes.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from benchmarks.databases import own_database
from benchmarks.engines import free_port
from benchmarks.processes import Failed, Process, get, run
from benchmarks.report import Figure, table
from benchmarks.sink import RESULT
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import connect
from domain.webhooks.model import Endpoint
from topics.table import RESULTS, TABLE

EVENTS = 20_000
DEAD = 50
BACKLOG = 100
PACE_S, PACED = 0.025, 600


@dataclass(frozen=True, slots=True)
class Place:
    """Topics, a database, a receiver and the process, all of them this run's own."""

    environment: dict[str, str]
    receiver: str

    @property
    def prefix(self) -> str:
        return self.environment["STRUCTURED_PROMPT_TOPIC_PREFIX"]

    def seen(self, name: str) -> list[float]:
        """Milliseconds from each sending to its arrival."""
        return list(orjson.loads(get(f"{self.receiver}/seen/{name}", 30)))


@contextmanager
def place() -> Iterator[Place]:
    with own_database() as url:
        yield from _placed(url)


def _placed(url: str) -> Iterator[Place]:
    name, port = url.rpartition("/")[2], free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "DATABASE_URL": url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "CLICKHOUSE_URL": "http://127.0.0.1:1/none",
        "STRUCTURED_PROMPT_TOPIC_PREFIX": f"{name}.",
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
        "STRUCTURED_PROMPT_KEY_PEPPER": "p" * 32,
        "STRUCTURED_PROMPT_WEBHOOK_ALLOW": "127.0.0.0/8",
    }
    receiver = Process("receiver", ["benchmarks.receiver", str(port)])
    try:
        run(["cli.main", "topics", "apply", "--use-env"], environment)
        yield Place(environment, f"http://127.0.0.1:{port}")
    finally:
        receiver.stop()
        client = AdminClient({"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]})
        client.delete_topics([f"{name}.{topic.name}" for topic in TABLE])


async def _subscribe(at: Place, endpoints: Sequence[tuple[str, str]]) -> None:
    pool = await connect(at.environment["DATABASE_URL"], 1)
    for number, (tenant, url) in enumerate(endpoints):
        one = Endpoint(tenant, f"wh_{number}", url, ("request.completed",), b"s", datetime.now(UTC))
        await PostgresEndpoints(pool).add(one)
    await pool.close()


@contextmanager
def _process(at: Place) -> Iterator[tuple[Process, str]]:
    port = free_port()
    process = Process(
        "destinations",
        ["cli.main", "sink", "destinations"],
        {**at.environment, "STRUCTURED_PROMPT_METRICS_PORT": str(port)},
    )
    try:
        process.wait_http(f"http://127.0.0.1:{port}/healthz")
        yield process, f"http://127.0.0.1:{port}/metrics"
    finally:
        process.stop()


class Sending:
    """Results on their topic, with the time they were sent."""

    def __init__(self, at: Place) -> None:
        self._topic = at.prefix + RESULTS
        self._producer = Producer(
            {"bootstrap.servers": at.environment["KAFKA_BOOTSTRAP_SERVERS"], "linger.ms": 2, "log_level": 3}
        )

    def send(self, tenant: str, number: int) -> None:
        value = RESULT % b"%s-%08d" % (tenant.encode(), number)
        value = value.replace(b'"tenant":"acme"', b'"tenant":"%s"' % tenant.encode())
        value = value.replace(b'"metadata":{}', b'"metadata":{"sent":%.6f}' % time.time())
        self._producer.produce(self._topic, value, key=b"%d" % number)
        self._producer.poll(0)

    def flush(self) -> None:
        if self._producer.flush(60):
            raise Failed("Kafka does not take the results within 60 s")


def throughput() -> tuple[float, float, float]:
    """Deliveries a second, CPU of the process in microseconds a delivery, its RSS in MB."""
    with place() as at:
        asyncio.run(_subscribe(at, [("acme", f"{at.receiver}/in/all")]))
        sending = Sending(at)
        for number in range(EVENTS):
            sending.send("acme", number)
        sending.flush()
        with _process(at) as (process, _):
            first = _wait(at, "all", 100, process)
            began, cpu = time.perf_counter(), process.cpu
            last = _wait(at, "all", EVENTS, process)
            seconds, used = time.perf_counter() - began, process.cpu - cpu
            return (last - first) / seconds, used / (last - first) * 1e6, process.rss_mb


def lateness(dead: int) -> tuple[list[float], list[float]]:
    """Milliseconds from producing a result to its arrival at a healthy endpoint, forty a second: alone, then beside."""
    with place() as at:
        asyncio.run(_subscribe(at, [("acme", f"{at.receiver}/in/healthy")]))
        sending = Sending(at)
        with _process(at) as (process, _):
            _paced(at, sending, process)
            alone = _paced(at, sending, process)
            kinds = [f"{at.receiver}/hang", f"{at.receiver}/drip", f"{at.receiver}/error", "http://127.0.0.1:9/"]
            asyncio.run(_subscribe(at, [("globex", kinds[number % len(kinds)]) for number in range(dead)]))
            for number in range(BACKLOG):
                sending.send("globex", number)
            sending.flush()
            time.sleep(10)
            return alone, _paced(at, sending, process)


def _paced(at: Place, sending: Sending, process: Process) -> list[float]:
    before = len(at.seen("healthy"))
    for number in range(before, before + PACED):
        sending.send("acme", number)
        time.sleep(PACE_S)
    sending.flush()
    _wait(at, "healthy", before + PACED, process)
    return sorted(at.seen("healthy")[before:])


def _wait(at: Place, name: str, count: int, process: Process) -> int:
    deadline = time.monotonic() + 120
    while (seen := len(at.seen(name))) < count:
        process.check()
        if time.monotonic() > deadline:
            raise Failed(f"{seen} of {count} deliveries came within 120 s:\n{process.output[-2000:]}")
        time.sleep(0.1)
    return seen


def _quantile(times: Sequence[float], share: float) -> float:
    return times[min(len(times) - 1, int(len(times) * share))]


def main(runs: int) -> None:
    speeds = [throughput() for _ in range(runs)]
    figures = [
        Figure("deliveries/s to a local receiver", [one[0] for one in speeds], goal="≥ 1,000"),
        Figure("… µs of CPU of the process a delivery", [one[1] for one in speeds]),
        Figure("… its RSS, MB", [one[2] for one in speeds], goal="≤ 120"),
    ]
    print(table(figures), flush=True)
    both = [lateness(DEAD) for _ in range(runs)]
    print(
        "\n".join(table([_late(both, share, goal)]).splitlines()[-1] for share, goal in ((0.5, ""), (0.99, "≤ 1.20 ×")))
    )


def _late(both: Sequence[tuple[list[float], list[float]]], share: float, goal: str) -> Figure:
    what = f"ms to a healthy endpoint beside {DEAD} dead ones, p{share * 100:.0f}; beside it: alone"
    alone, beside = ([_quantile(times[which], share) for times in both] for which in (0, 1))
    return Figure(what, beside, alone, goal)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
