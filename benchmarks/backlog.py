"""What each sink takes to catch up: `python -m benchmarks.backlog [ROWS] [SINK...]`, 1,000,000 and all four without.

KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and CLICKHOUSE_URL of this machine, and versitygw on PATH for s3; topics and
databases of its own, and a bucket, which it removes. The rows lie on Kafka before the process that production runs is
started. CPU is that of the process. `--bytes N`: results alone, of N bytes each, whose answers nobody can compress.
Settings of the sinks (STRUCTURED_PROMPT_SINK_…) are passed on. What clickhouse and postgres hold at the end is counted.
"""

import argparse
import asyncio
import base64
import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import asyncpg
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from benchmarks.databases import own_database
from benchmarks.destinations import bucket
from benchmarks.engines import free_port
from benchmarks.processes import Failed, Process, get, run
from benchmarks.report import Figure, table
from benchmarks.sink import RESULT, items
from connectors.clickhouse.answers import store_answers
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import upgrade
from topics.table import RESULTS, TABLE

SINKS = ("clickhouse", "postgres", "kafka", "s3")
WRITTEN = re.compile(rb"^structured_prompt_sink_rows_total\{[^}]*\} (\S+)$", re.MULTILINE)
PIECE = 50_000
PATIENCE_S = 1_800
OWN = "STRUCTURED_PROMPT_"
MIB = 1024 * 1024
ANSWER = b"positive"
HELD = {
    # without FINAL: a row that came twice counts twice
    "clickhouse": "SELECT count() AS rows, uniqExact(id) AS ids, sum(length(output)) AS bytes FROM results",
    "postgres": "SELECT count(*) AS rows, count(DISTINCT id) AS ids, sum(length(output::text)) AS bytes "
    "FROM structured_prompt.results",
}


@dataclass(frozen=True, slots=True)
class Caught:
    """CPU in microseconds a row, memory in MB at most."""

    per_second: float
    cpu_us: float
    peak_mb: float


@contextmanager
def place() -> Iterator[dict[str, str]]:
    """The environment of the sinks, with topics and databases of its own."""
    with own_database() as url, bucket() as (store, _):
        name, kafka = url.rpartition("/")[2], os.environ["KAFKA_BOOTSTRAP_SERVERS"]
        clickhouse = f"{os.environ['CLICKHOUSE_URL'].rpartition('/')[0]}/{name}"
        own = OWN
        given = {key: value for key, value in os.environ.items() if key.startswith(f"{own}SINK_")}
        environment = {
            **given,
            "KAFKA_BOOTSTRAP_SERVERS": kafka, "DATABASE_URL": url, "CLICKHOUSE_URL": clickhouse,
            "REDIS_URL": "redis://127.0.0.1:1/0", f"{own}TOPIC_PREFIX": f"{name}.", f"{own}REPLICATION_FACTOR": "1",
            f"{own}KEY_PEPPER": "p" * 32, f"{own}SINK_POSTGRES_URL": url, f"{own}SINK_KAFKA_BOOTSTRAP_SERVERS": kafka,
            f"{own}SINK_KAFKA_TOPIC_PREFIX": f"{name}.other.", f"{own}SINK_S3_BUCKET": store.name,
            f"{own}SINK_S3_ENDPOINT": store.endpoint or "", f"{own}SINK_S3_ACCESS_KEY_ID": store.access_key or "",
            f"{own}SINK_S3_SECRET_ACCESS_KEY": store.secret_key or "", f"{own}LOG_LEVEL": "WARNING",
        }  # fmt: skip
        try:
            asyncio.run(_execute(os.environ["CLICKHOUSE_URL"], f"CREATE DATABASE {name}"))
            upgrade(clickhouse)
            for prefix in (f"{name}.", f"{name}.other."):
                run(["cli.main", "topics", "apply", "--use-env"], {**environment, f"{own}TOPIC_PREFIX": prefix})
            yield environment
        finally:
            asyncio.run(_execute(os.environ["CLICKHOUSE_URL"], f"DROP DATABASE IF EXISTS {name}"))
            client = AdminClient({"bootstrap.servers": kafka})
            client.delete_topics([f"{name}.{more}{topic.name}" for more in ("", "other.") for topic in TABLE])


async def _execute(url: str, statement: str) -> None:
    async with ClickHouse(url) as clickhouse:
        await clickhouse.execute(statement, database="default")


def fill(environment: dict[str, str], rows: int, size: int | None = None) -> None:
    """Half results, half usage records, each with an id of its own; with a size, results of so many bytes alone."""
    kafka, prefix = environment["KAFKA_BOOTSTRAP_SERVERS"], environment[f"{OWN}TOPIC_PREFIX"]
    bounds = {"queue.buffering.max.messages": 2 * PIECE, "queue.buffering.max.kbytes": 128 * 1024}
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "message.max.bytes": 2 * MIB, **bounds})
    written = large(rows, size) if size else small(rows)
    for topic, key, value in written:
        while True:
            try:
                producer.produce(prefix + topic, value, key=key)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(120):
        raise Failed("Kafka does not take the rows within 120 s")


def small(rows: int) -> Iterator[tuple[str, bytes, bytes]]:
    for at in range(0, rows, PIECE):
        for row in items(min(PIECE, rows - at)):
            own = b"o%07d-" % at
            yield row.topic, own + (row.key or b""), row.value.replace(b"order-", own)


def large(rows: int, size: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Answers are pieces of noise, as text: no two are the same, and none gets smaller on the way."""
    chance = random.Random(7)
    noise = base64.b64encode(chance.randbytes(4 * size + MIB))
    for n in range(rows):
        id = b"order-%08d" % n
        value = RESULT % id
        length = max(1, size - len(value) + len(ANSWER))
        start = chance.randrange(len(noise) - length)
        yield RESULTS, id, value.replace(ANSWER, noise[start : start + length], 1)


def catch_up(name: str, environment: dict[str, str], rows: int) -> Caught:
    """From its first rows on, so that joining the group is no matter of speed."""
    port = free_port()
    process = Process(name, ["cli.main", "sink", name], {**environment, "STRUCTURED_PROMPT_METRICS_PORT": str(port)})
    try:
        process.wait_http(f"http://127.0.0.1:{port}/healthz")
        return _watched(process, f"http://127.0.0.1:{port}/metrics", rows)
    finally:
        process.stop()


def _watched(process: Process, metrics: str, rows: int) -> Caught:
    deadline = time.monotonic() + PATIENCE_S
    first, peak = (time.perf_counter(), process.cpu, 0), 0.0
    while (written := _written(metrics)) < rows:
        process.check()
        peak = max(peak, process.rss_mb)
        if first[2] == 0:
            first = (time.perf_counter(), process.cpu, written)
        if time.monotonic() > deadline:
            raise Failed(f"{written} of {rows} rows within {PATIENCE_S} s:\n{process.output[-2000:]}")
        time.sleep(0.1)
    seconds, cpu, done = time.perf_counter() - first[0], process.cpu - first[1], written - first[2]
    return Caught(done / seconds, cpu / done * 1e6, peak)


def _written(metrics: str) -> int:
    return sum(int(float(rows)) for rows in WRITTEN.findall(get(metrics)))


async def held(name: str, environment: dict[str, str]) -> str:
    """What the destination has of results, where it can be asked."""
    if name == "clickhouse":
        async with ClickHouse(environment["CLICKHOUSE_URL"]) as clickhouse:
            (found,) = await clickhouse.select(HELD[name], {})
    elif name == "postgres":
        connection = await asyncpg.connect(environment["DATABASE_URL"])
        found = dict(await connection.fetchrow(HELD[name]))
        await connection.close()
    else:
        return ""
    return f"`{name}` holds {found['rows']:,} results of {found['ids']:,} ids, {int(found['bytes']):,} bytes of answers"


async def agree(environment: dict[str, str]) -> None:
    """ClickHouse keeps the answers of tenants that agreed."""
    async with ClickHouse(environment["CLICKHOUSE_URL"]) as clickhouse:
        await store_answers(clickhouse, "acme", True)


def main(rows: int, size: int | None, sinks: Sequence[str]) -> None:
    with place() as environment:
        if size:
            environment[f"{OWN}SINK_ANSWERS"] = "all"
            asyncio.run(agree(environment))
        fill(environment, rows, size)
        for name in sinks:
            found = catch_up(name, environment, rows)
            figures = [
                Figure(f"`{name}`: rows/s through a backlog of {rows:,}", [found.per_second]),
                Figure("… µs of CPU of its process a row", [found.cpu_us]),
                Figure("… its RSS at most, MB", [found.peak_mb], goal="≤ 150"),
            ]
            print(table(figures), flush=True)
            print(asyncio.run(held(name, environment)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("sinks", nargs="*", default=SINKS)
    parser.add_argument("--bytes", type=int)
    asked = parser.parse_args()
    main(asked.rows, asked.bytes, asked.sinks)
