"""What each sink costs a row, and what a dead one costs its neighbour: `python -m benchmarks.destinations [ROUNDS]`.

Takes KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and CLICKHOUSE_URL of this machine and versitygw on PATH; databases, topics
and a bucket of its own, which it removes. Rows are those of benchmarks/sink.py, with their answers. CPU is that of this
process (`ours`) and of the one that listens on the destination's port.
"""

import asyncio
import contextlib
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psutil
import uvloop
from confluent_kafka.admin import AdminClient, NewTopic

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from benchmarks.sink import Meter, items, listener
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.sink import ClickHouseSink
from connectors.kafka.consumer import BatchConsumer
from connectors.kafka.mirror import KafkaMirror
from connectors.kafka.producer import KafkaProducer
from connectors.memory.metrics import MemoryMetrics
from connectors.postgres.pool import connect
from connectors.postgres.sink import PostgresSink
from connectors.s3.client import S3, Bucket
from connectors.s3.formats import FORMATS
from connectors.s3.sink import S3Sink
from domain.ports import Item, Record, Sink
from topics.table import DEAD_LETTERS, EVENTS, RESULTS, USAGE

ROWS = 100_000
KEY = "benchmark"
PACED_S, PER_SECOND = 20, 2_000


class Family(Meter):
    """Of a server that works in children."""

    def _engine_cpu(self) -> float:
        family = [self.engine, *self.engine.children()] if self.engine else []
        return sum(sum(one.cpu_times()[:2]) for one in family)


def numbered(rows: Sequence[Item]) -> list[Item]:
    """Over twelve partitions, as Kafka delivers them."""
    return [row._replace(partition=n // 2 % 12, offset=n // 24) for n, row in enumerate(rows)]


async def alone(meter: Meter, name: str, sink: Sink, size: int, policy: Policy) -> None:
    """Batches of `size` as the runner writes them, the second half of 100,000 rows measured."""
    rows = numbered(items(ROWS))
    await sink.open()

    async def write(rows: Sequence[Item]) -> None:
        for at in range(0, len(rows), size):
            parts = policy.parts(rows[at : at + size])
            assert not any(await asyncio.gather(*map(sink.write, parts)))

    await write(rows[: ROWS // 2])
    await meter.measure(f"{name}, batches of {size}", ROWS // 2, lambda: write(rows[ROWS // 2 :]))
    await sink.close()


async def every_sink(kafka: str, database_url: str, clickhouse_url: str, prefix: str) -> None:
    port = urlsplit(clickhouse_url).port
    await alone(Meter(listener(port)), "clickhouse", ClickHouseSink(ClickHouse(clickhouse_url)), 10_000, Policy("x"))
    pair = Policy("x", ways=2, ordered=False)
    await alone(Family(listener(urlsplit(database_url).port)), "postgres", PostgresSink(database_url), 10_000, pair)
    mirror = KafkaMirror(KafkaProducer({"bootstrap.servers": kafka}, prefix=f"{prefix}other."))
    await alone(Meter(listener(int(kafka.rpartition(":")[2]))), "kafka", mirror, 10_000, Policy("x"))
    with bucket() as (place, server):
        for format in FORMATS:
            sink = S3Sink(S3(place), FORMATS[format](), format)
            await alone(Meter(server), f"s3 {format}", sink, 50_000, Policy("x", ways=8))


@contextlib.contextmanager
def bucket() -> Iterator[tuple[Bucket, psutil.Process | None]]:
    """On versitygw, in a directory that is removed."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory, KEY).mkdir()
        command = ["versitygw", "--port", "127.0.0.1:27070", "--access", KEY, "--secret", KEY, "posix", directory]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(1)
            yield Bucket(KEY, "http://127.0.0.1:27070", None, KEY, KEY), listener(27070)
        finally:
            server.kill()
            server.wait()


async def beside_a_dead_one(kafka: str, clickhouse_url: str, prefix: str, rounds: int) -> None:
    """How old rows are when ClickHouse has them, at 2,000 rows/s, alone and beside a sink whose destination is dead."""
    dead = PostgresSink("postgresql://nobody@127.0.0.1:1/none")
    ages: dict[str, list[float]] = {"alone": [], "beside a dead one": []}
    for number in range(rounds):
        for name in ages:
            group = f"{number}-{name.replace(' ', '-')}"
            beside = delivering(kafka, dead, prefix, f"dead-{group}") if name != "alone" else contextlib.nullcontext()
            async with beside, delivering(kafka, ClickHouseSink(ClickHouse(clickhouse_url)), prefix, group) as metrics:
                ages[name] += await paced(kafka, prefix, metrics)
    for name, found in ages.items():
        p50, p95 = statistics.median(found), statistics.quantiles(found, n=20)[18]
        print(f"age of rows when written, {name:18} p50 {p50:5.2f} s  p95 {p95:5.2f} s  ({len(found)} looks)")


@contextlib.asynccontextmanager
async def delivering(kafka: str, sink: Sink, prefix: str, group: str) -> AsyncIterator[MemoryMetrics]:
    """A sink with a consumer group of its own; here all in one process, in production each in its own."""
    connection = {"bootstrap.servers": kafka}
    metrics, condition = MemoryMetrics(), Condition("x")
    producer = KafkaProducer({"bootstrap.servers": kafka}, prefix=prefix)
    source = BatchConsumer(connection, [RESULTS, USAGE], group, prefix=prefix)
    running = asyncio.ensure_future(deliver(source, sink, producer, Policy("x"), metrics, condition))
    yield metrics
    condition.stop()
    await running
    await producer.close()


async def paced(kafka: str, prefix: str, metrics: MemoryMetrics) -> list[float]:
    """Publish for a while, and look ten times a second at how old the newest row is that was written."""
    producer = KafkaProducer({"bootstrap.servers": kafka}, prefix=prefix)
    rows, found = items(PER_SECOND // 10), []
    for turn in range(PACED_S * 10):
        began = time.monotonic()
        await producer.send([Record(row.topic, row.value, row.key) for row in rows])
        if turn > 50:  # what joined is steady
            found.append(metrics.value("sink_age_seconds", sink="x"))
        await asyncio.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
    await producer.close()
    return found


async def main(kafka: str, database_url: str, clickhouse_url: str, rounds: int) -> None:
    name = f"benchmark_{secrets.token_hex(4)}"
    url = urlunsplit(urlsplit(clickhouse_url)._replace(path=f"/{name}"))
    own = urlunsplit(urlsplit(database_url)._replace(path=f"/{name}"))
    admin, prefix = AdminClient({"bootstrap.servers": kafka}), f"{name}."
    topics = [
        before + topic for before in (prefix, f"{prefix}other.") for topic in (RESULTS, USAGE, EVENTS, DEAD_LETTERS)
    ]
    pool = await connect(database_url, 1)
    await pool.fetch(f"CREATE DATABASE {name}")
    for created in admin.create_topics([NewTopic(topic, 12, 1) for topic in topics]).values():
        created.result()
    async with ClickHouse(url) as clickhouse:
        await clickhouse.execute(f"CREATE DATABASE {name}", database="default")
        await apply(clickhouse)
        try:
            for _ in range(rounds):
                await every_sink(kafka, own, url, prefix)
            await beside_a_dead_one(kafka, url, prefix, rounds)
        finally:
            await clickhouse.execute(f"DROP DATABASE {name}", database="default")
            await pool.fetch(f"DROP DATABASE {name} WITH (FORCE)")
            admin.delete_topics(topics)


if __name__ == "__main__":
    uvloop.run(
        main(
            os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            os.environ["DATABASE_URL"],
            os.environ["CLICKHOUSE_URL"],
            int(sys.argv[1]) if len(sys.argv) > 1 else 1,
        )
    )
