"""What each sink takes to catch up: `python -m benchmarks.backlog [ROWS] [SINK...]`, 1,000,000 and four without.

KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL and CLICKHOUSE_URL of this machine, and versitygw on PATH for s3; topics and
databases of its own, and a bucket, which it removes. The rows lie on Kafka before the process that production runs is
started. CPU is that of the process. `--bytes N`: results alone, of N bytes each, whose answers nobody can compress.
Settings of the sinks (STRUCTURED_PROMPT_SINK_…) are passed on. What clickhouse, postgres and s3 (Parquet) hold at the
end is counted. While it catches up its lag and what /readyz says are looked at ten times a second.
bigquery, snowflake and sheets, where they are named, write into fakes (benchmarks/forgetful.py). `--seconds N`: each is
watched for so long at most, which sheets needs for its quota.
"""

import argparse
import asyncio
import base64
import os
import random
import re
import time
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import orjson
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from benchmarks.databases import own_database
from benchmarks.destinations import bucket
from benchmarks.engines import free_port
from benchmarks.forgetful import stand_in
from benchmarks.held import held
from benchmarks.processes import Failed, Process, get, run
from benchmarks.report import Figure, table
from benchmarks.sink import RESULT, items
from connectors.clickhouse.answers import store_answers
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import upgrade
from topics import headers
from topics.table import RESULTS, TABLE

SINKS = ("clickhouse", "postgres", "kafka", "s3")
LAG = re.compile(rb"^structured_prompt_consumer_lag\{[^}]*\} (\S+)$", re.MULTILINE)
WRITTEN = re.compile(rb"^structured_prompt_sink_rows_total\{[^}]*\} (\S+)$", re.MULTILINE)
PIECE = 50_000
PATIENCE_S = 1_800
OWN = "STRUCTURED_PROMPT_"
MIB = 1024 * 1024
ANSWER = b"positive"
NOW = "2026-11-20T12:00:00.421Z"
PARENT = f"00-{'5' * 32}-{'7' * 16}-00"


@dataclass(slots=True)
class Seen:
    """Memory in MB when it has not begun, and at most; the highest lag; what it said of itself, in order."""

    rest_mb: float
    peak_mb: float = 0.0
    lag: int = 0
    said: dict[str, None] = field(default_factory=dict)

    def look(self, rss_mb: float, metrics: bytes, status: str) -> int:
        """Returns the rows that are written."""
        self.peak_mb = max(self.peak_mb, rss_mb)
        self.lag = max(self.lag, _sum(LAG, metrics))
        self.said[status] = None
        return _sum(WRITTEN, metrics)


@dataclass(frozen=True, slots=True)
class Caught:
    """Rows while it was watched; CPU in microseconds a row."""

    rows: int
    per_second: float
    cpu_us: float
    seen: Seen


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
        # as the line writes them: a reader keeps them beside the value
        head = headers.RESULT.headers(f"acme/{key.decode()}/1", NOW, PARENT)
        while True:
            try:
                producer.produce(prefix + topic, value, key=key, headers=head)
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


def catch_up(name: str, environment: dict[str, str], rows: int, patience: float) -> Caught:
    """From its first rows on, so that joining the group is no matter of speed."""
    port = free_port()
    process = Process(name, ["cli.main", "sink", name], {**environment, "STRUCTURED_PROMPT_METRICS_PORT": str(port)})
    try:
        process.wait_http(f"http://127.0.0.1:{port}/healthz")
        return _watched(process, f"http://127.0.0.1:{port}", rows, patience)
    finally:
        process.stop()


def _watched(process: Process, url: str, rows: int, patience: float) -> Caught:
    deadline = time.monotonic() + PATIENCE_S
    first, seen = (time.perf_counter(), process.cpu, 0), Seen(process.rss_mb)
    written = 0
    while written < rows:
        process.check()
        with suppress(TimeoutError):  # a machine that is too busy to answer is asked again
            written = seen.look(process.rss_mb, get(f"{url}/metrics"), _status(f"{url}/readyz"))
        if first[2] == 0:
            first = (time.perf_counter(), process.cpu, written)
        if first[2] and time.perf_counter() - first[0] > patience:
            break
        if time.monotonic() > deadline:
            raise Failed(f"{written} of {rows} rows within {PATIENCE_S} s:\n{process.output[-2000:]}")
        time.sleep(0.1)
    seconds, cpu, done = time.perf_counter() - first[0], process.cpu - first[1], written - first[2]
    return Caught(done, done / seconds, cpu / done * 1e6, seen)


def _sum(metric: re.Pattern[bytes], metrics: bytes) -> int:
    return sum(int(float(value)) for value in metric.findall(metrics))


def _status(url: str) -> str:
    try:
        get(url)
    except urllib.error.HTTPError as error:
        checks = orjson.loads(error.read())["checks"]
        return "; ".join(check["detail"] for check in checks.values() if check.get("detail"))
    return "ready"


async def agree(environment: dict[str, str]) -> None:
    """ClickHouse keeps the answers of tenants that agreed."""
    async with ClickHouse(environment["CLICKHOUSE_URL"]) as clickhouse:
        await store_answers(clickhouse, "acme", True)


def of(name: str, rows: int, size: int | None) -> int:
    """How many of them this sink takes: a spreadsheet gets results alone."""
    return rows if size or name != "sheets" else rows // 2


def report(name: str, rows: int, found: Caught) -> str:
    seen = found.seen
    figures = [
        Figure(f"`{name}`: rows/s through a backlog of {rows:,}", [found.per_second]),
        Figure("… rows while it was watched", [found.rows]),
        Figure("… µs of CPU of its process a row", [found.cpu_us]),
        Figure("… its RSS before the first, MB", [seen.rest_mb]),
        Figure("… its RSS at most, MB", [seen.peak_mb], goal="≤ 150"),
        Figure("… its lag at most, records", [seen.lag]),
    ]
    return f"{table(figures)}\n\n`{name}` said of itself `{'`, `'.join(seen.said)}`"


def main(rows: int, size: int | None, sinks: Sequence[str], seconds: float) -> None:
    with place() as environment:
        if size:
            environment[f"{OWN}SINK_ANSWERS"] = "all"
            asyncio.run(agree(environment))
        fill(environment, rows, size)
        for name in sinks:
            with stand_in(name) as given:
                its = {**environment, **given}
                mine = of(name, rows, size)
                print(report(name, mine, catch_up(name, its, mine, seconds)), flush=True)
                print(asyncio.run(held(name, its)), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int, nargs="?", default=1_000_000)
    parser.add_argument("sinks", nargs="*", default=SINKS)
    parser.add_argument("--bytes", type=int)
    parser.add_argument("--seconds", type=float, default=PATIENCE_S)
    asked = parser.parse_args()
    main(asked.rows, asked.bytes, asked.sinks, asked.seconds)
