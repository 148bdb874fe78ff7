"""The sink's process on a real broker and the real engine."""

import asyncio
import gzip
import json
import os
import re
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.kafka import admin, security
from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.producer import KafkaProducer
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import connect
from connectors.postgres.sink_board import PostgresSinkBoard
from connectors.sinks import sink_parts
from domain.accounts.model import Tenant
from domain.errors import InvalidSettings
from domain.ports import Record
from domain.settings import Settings, load
from ops.local.environment import clean
from tests import s3
from tests.conftest import Engines
from tests.contract.messages import NOON, call, event, result
from topics.table import DEAD_LETTERS, EVENTS, RESULTS, TABLE, USAGE

pytestmark = pytest.mark.integration
TOPICS = [topic for topic in TABLE if topic.name in (RESULTS, USAGE, EVENTS, DEAD_LETTERS)]
BUCKET = "results-of-a-process"
LAUNCH = """
import sys
from os import environ
from agents.deliver.main import run
from domain.settings import load
run(load(environ, str), sys.argv[1])
"""


@dataclass
class Sink:
    """A running sink; `lines` is what it logged."""

    process: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def read_log(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(json.loads(line))

    def get(self, path: str) -> tuple[int, str]:
        port = next(line["metrics_port"] for line in self.lines if "metrics_port" in line)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@dataclass
class Stack:
    environ: dict[str, str]
    settings: Settings
    producer: KafkaProducer
    clickhouse: ClickHouse

    @asynccontextmanager
    async def sink(self, name: str = "clickhouse", **environ: str) -> AsyncIterator[Sink]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            LAUNCH,
            name,
            env={**clean(os.environ), **self.environ, **environ},
            stderr=asyncio.subprocess.PIPE,
        )
        sink = Sink(process)
        reading = asyncio.ensure_future(sink.read_log())
        try:
            await until(lambda: any(line["event"] == "started" for line in sink.lines))
            yield sink
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            await reading

    async def publish(self, *records: Record) -> None:
        await self.producer.send(records)

    async def count(self, sql: str) -> int:
        return int((await self.clickhouse.select(sql, {}))[0]["n"])

    async def dead_letters(self, count: int) -> list[dict[str, Any]]:
        source = BatchConsumer(
            security.librdkafka(self.settings), [DEAD_LETTERS], "test", Bounds(), prefix=self.settings.topic_prefix
        )
        letters: list[dict[str, Any]] = []
        async for batch in source.batches():
            letters += [json.loads(item.value) for item in batch]
            if len(letters) >= count:
                source.stop()
        await source.close()
        return letters


@pytest.fixture
async def stack(engines: Engines, database_url: str, clickhouse_url: str, topic_prefix: str) -> AsyncIterator[Stack]:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "DATABASE_URL": database_url,
        "REDIS_URL": engines.redis_url,
        "CLICKHOUSE_URL": clickhouse_url,
        "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix,
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
        "STRUCTURED_PROMPT_METRICS_PORT": "0",
        "STRUCTURED_PROMPT_KEY_PEPPER": "p" * 32,
        "STRUCTURED_PROMPT_SINK_INTERVAL_S": "0.2",
        "STRUCTURED_PROMPT_WORKER_NAME": "sink-1",
    }
    settings = load(environ, str)
    await asyncio.to_thread(admin.apply, settings, TOPICS)
    producer = KafkaProducer(security.librdkafka(settings), prefix=topic_prefix)
    async with ClickHouse(clickhouse_url) as clickhouse:
        await apply(clickhouse)
        yield Stack(environ, settings, producer, clickhouse)
    await producer.close()
    client = AdminClient(security.librdkafka(settings))
    for deleted in client.delete_topics([topic_prefix + topic.name for topic in TOPICS]).values():
        deleted.result(10)


async def until(happened: Callable[[], bool], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not happened():
            await asyncio.sleep(0.05)


async def until_counted(stack: Stack, sql: str, n: int, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while await stack.count(sql) != n:
            await asyncio.sleep(0.1)


async def test_carries_records_buries_poison_and_ends_on_sigterm_with_everything_committed(stack: Stack) -> None:
    await stack.publish(
        Record(RESULTS, result().value, b"r1"),
        Record(RESULTS, b"poison", b"r1"),
        Record(RESULTS, None, b"r1"),
        Record(RESULTS, result("r2").value, b"r1"),
        Record(USAGE, call().value, b"acme"),
        Record(EVENTS, event().value, b"acme"),
    )
    async with stack.sink() as sink:
        await until_counted(stack, "SELECT sum(requests) AS n FROM usage_hourly", 2)
        (letter,) = await stack.dead_letters(1)
        assert (letter["code"], letter["topic"], letter["stage"]) == ("refused_by_sink", RESULTS, "deliver.clickhouse")
        await until(lambda: sink.get("/readyz")[0] == 200)
        await until(lambda: f'consumer_lag{{partition="0",topic="{RESULTS}"}} 0.0' in sink.get("/metrics")[1])
        sink.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(sink.process.wait(), 10) == 0
    async with stack.sink() as sink:
        await stack.publish(Record(EVENTS, event("e2").value, b"acme"))
        await until_counted(stack, "SELECT count() AS n FROM events", 2)
        assert "structured_prompt_events_in_total" in sink.get("/metrics")[1]
        taken = [
            line for line in sink.get("/metrics")[1].splitlines() if line.startswith("structured_prompt_events_in")
        ]
        assert taken == ['structured_prompt_events_in_total{stage="clickhouse"} 1.0']


async def test_C1_killed_again_and_again_it_loses_and_doubles_nothing(stack: Stack) -> None:
    results = [Record(RESULTS, result(f"r{n}").value, b"r%d" % n) for n in range(6000)]
    calls = [Record(USAGE, call(f"r{n}", cost_usd="0.000001").value, b"acme") for n in range(6000)]
    for third in range(3):
        async with stack.sink(STRUCTURED_PROMPT_SINK_ROWS="500"):
            await stack.publish(*results[third::3], *calls[third::3])
            await asyncio.sleep(0.3 * third)
    async with stack.sink():
        await until_counted(stack, "SELECT count() AS n FROM results FINAL", 6000)
        await until_counted(stack, "SELECT count() AS n FROM calls FINAL", 6000)
    total = await stack.clickhouse.select("SELECT sum(requests) AS n, sum(cost_usd) AS cost FROM usage_daily", {})
    assert total == [{"n": 6000, "cost": "0.006"}]


async def test_S6_without_its_destination_it_stays_alive_says_why_and_still_stops(stack: Stack) -> None:
    await stack.publish(Record(RESULTS, result().value, b"r1"))
    async with stack.sink(CLICKHOUSE_URL="http://app:topsecret@127.0.0.1:1/x") as sink:
        await until(lambda: "does not answer" in sink.get("/readyz")[1])
        assert sink.get("/readyz")[0] == 503
        assert sink.get("/healthz")[0] == 200
        await until(lambda: re.search(rf'consumer_lag{{[^}}]*"{RESULTS}"}} 1.0', sink.get("/metrics")[1]) is not None)
        pool = await connect(stack.environ["DATABASE_URL"], 1)
        async with asyncio.timeout(10):
            while [
                (one.state(now := datetime.now(UTC)), one.lag(now)) for one in await PostgresSinkBoard(pool).look()
            ] != [("waiting", 1)]:
                await asyncio.sleep(0.2)
        await pool.close()
        sink.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(sink.process.wait(), 10) == 0
        assert not any("topsecret" in str(line) for line in sink.lines)


async def test_paused_over_a_restart_resumed_and_replayed(stack: Stack) -> None:
    pool = await connect(stack.environ["DATABASE_URL"], 1)
    board = PostgresSinkBoard(pool)
    await stack.publish(*(Record(RESULTS, result(f"r{n}").value, b"r%d" % n) for n in range(20)))
    async with stack.sink():
        await until_counted(stack, "SELECT count() AS n FROM results FINAL", 20)
        assert await board.pause("clickhouse", True)
    await stack.publish(Record(RESULTS, result("later").value, b"r1"))
    async with stack.sink() as sink:
        await until(lambda: "paused by an operator" in sink.get("/readyz")[1])
        await asyncio.sleep(1)
        assert await stack.count("SELECT count() AS n FROM results FINAL") == 20
        await board.pause("clickhouse", False)
        await until_counted(stack, "SELECT count() AS n FROM results FINAL", 21)
        await stack.clickhouse.execute("TRUNCATE TABLE results")
        assert await board.replay("clickhouse", NOON, {}) == 1
        await until_counted(stack, "SELECT count() AS n FROM results FINAL", 21)
        await until(lambda: "sink_paused" in sink.get("/metrics")[1])
    (seen,) = await board.look()
    assert len(seen.orders.rewound) == 12 * 3
    await pool.close()


async def test_into_another_database_and_another_cluster_with_consent(stack: Stack, topic_prefix: str) -> None:
    url = stack.environ["DATABASE_URL"]
    pool = await connect(url, 1)
    await PostgresAccounts(pool).create_tenant(Tenant("acme", store_answers=True))
    await stack.publish(
        Record(RESULTS, result().value, b"r1", (("team", b"support"),)),
        Record(RESULTS, result(tenant="globex").value, b"r1"),
        Record(RESULTS, b"poison", b"r1"),
        Record(USAGE, call().value, b"acme"),
    )
    mirror = topic_prefix + "other."
    there = stack.settings.model_copy(update={"topic_prefix": mirror})
    await asyncio.to_thread(admin.apply, there, TOPICS)
    other = {
        "STRUCTURED_PROMPT_SINK_POSTGRES_URL": url,
        "STRUCTURED_PROMPT_SINK_KAFKA_BOOTSTRAP_SERVERS": stack.environ["KAFKA_BOOTSTRAP_SERVERS"],
        "STRUCTURED_PROMPT_SINK_KAFKA_TOPIC_PREFIX": mirror,
    }
    async with stack.sink("postgres", **other), stack.sink("kafka", **other):
        (letter,) = await stack.dead_letters(1)
        assert (letter["code"], letter["stage"]) == ("refused_by_sink", "deliver.postgres")
        rows = await pool.fetch("SELECT tenant, output::text FROM structured_prompt.results ORDER BY tenant")
        assert [tuple(row) for row in rows] == [("acme", '{"label":"positive"}'), ("globex", None)]
        source = BatchConsumer(security.librdkafka(there), [RESULTS, USAGE], "test", Bounds(), prefix=mirror)
        seen = []
        async for batch in source.batches():
            seen += batch
            if len(seen) >= 4:
                source.stop()
        await source.close()
    answers = [item for item in seen if item.topic == RESULTS and item.key == b"r1"]
    assert [json.loads(item.value)["output"] for item in answers[:2]] == [{"label": "positive"}, None]
    assert answers[2].value == b"poison"
    assert dict(answers[0].headers)["team"] == b"support"
    assert dict(answers[0].headers)["sp_source"].endswith(b"@0")
    await pool.close()
    client = AdminClient(security.librdkafka(there))
    client.delete_topics([mirror + topic.name for topic in TOPICS])


async def test_killed_again_and_again_it_leaves_each_row_once_in_a_bucket(stack: Stack) -> None:
    """Batches of three sizes, cut by kills: an object begun by one process is finished by the next, as it was."""
    with s3.moto() as store:
        client = store.client()
        client.create_bucket(Bucket=BUCKET)
        given = {
            "STRUCTURED_PROMPT_SINK_S3_BUCKET": BUCKET,
            "STRUCTURED_PROMPT_SINK_S3_ENDPOINT": store.url,
            "STRUCTURED_PROMPT_SINK_S3_ACCESS_KEY_ID": s3.ACCESS,
            "STRUCTURED_PROMPT_SINK_S3_SECRET_ACCESS_KEY": s3.SECRET,
            "STRUCTURED_PROMPT_SINK_S3_FORMAT": "jsonl",
        }
        wanted = [(f"t{n % 3}", f"r{n}") for n in range(900)]
        records = [Record(RESULTS, result(id, tenant=tenant).value, id.encode()) for tenant, id in wanted]
        for third, rows in enumerate(("50", "100", "30")):
            async with stack.sink("s3", **given, STRUCTURED_PROMPT_SINK_ROWS=rows) as sink:
                await stack.publish(*records[third::3])
                # until somewhere in the middle of it
                await until(lambda sink=sink: "sink_rows_total{" in sink.get("/metrics")[1])
                await asyncio.sleep(0.1 * third)
        async with stack.sink("s3", **given, STRUCTURED_PROMPT_SINK_ROWS="100") as sink, asyncio.timeout(60):
            while len(set(await asyncio.to_thread(in_bucket, client))) < len(wanted):
                await asyncio.sleep(0.5)
        found = in_bucket(client)
    assert sorted(found) == sorted(wanted)


def in_bucket(client: Any) -> list[tuple[str, str]]:
    """Every row of every object."""
    rows = []
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="results/"):
        for one in page.get("Contents", ()):
            body = client.get_object(Bucket=BUCKET, Key=one["Key"])["Body"].read()
            found = [json.loads(line) for line in gzip.decompress(body).splitlines()]
            rows += [(row["tenant"], row["id"]) for row in found]
    return rows


@pytest.mark.parametrize(
    ("name", "given", "missing"),
    [
        ("postgres", {}, "STRUCTURED_PROMPT_SINK_POSTGRES_URL"),
        ("kafka", {}, "STRUCTURED_PROMPT_SINK_KAFKA_BOOTSTRAP_SERVERS"),
        ("kafka", {"sink_kafka": "h:1", "sink_kafka_security_protocol": "SASL_SSL"},
         "STRUCTURED_PROMPT_SINK_KAFKA_SASL_PASSWORD"),
        ("s3", {}, "STRUCTURED_PROMPT_SINK_S3_BUCKET"),
        ("nowhere", {}, "the sinks are: "),
    ],
)  # fmt: skip
def test_a_sink_without_its_settings_says_which(name: str, given: dict[str, str], missing: str) -> None:
    engines = {
        "kafka": "h:1",
        "database_url": "postgresql://h/d",
        "redis_url": "redis://h",
        "clickhouse_url": "http://h",
    }
    with pytest.raises(InvalidSettings, match=missing):
        sink_parts(Settings(**{**engines, **given}), name)
