"""What filling ClickHouse costs: `KAFKA_BOOTSTRAP_SERVERS=… CLICKHOUSE_URL=… python -m benchmarks.sink [ROUNDS]`.

Half of the rows are results of 577 bytes, half are usage records of 369. In a database and topics of its own, which it
removes. Three parts: the HTTP clients one could choose, the sink alone by size of batch, and the whole way from Kafka.
CPU is that of this process (`ours`) and of the process that listens on ClickHouse's port on this machine (`engine`).
"""

import asyncio
import gc
import os
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit, urlunsplit

import clickhouse_connect
import psutil
import uvloop
from confluent_kafka.admin import AdminClient, NewTopic

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from connectors.clickhouse.client import INSERT_SETTINGS, ClickHouse, Rows
from connectors.clickhouse.migrate import apply
from connectors.clickhouse.sink import ClickHouseSink
from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.producer import KafkaProducer
from connectors.memory.metrics import MemoryMetrics
from domain.ports import Item, Record
from topics import headers
from topics.table import DEAD_LETTERS, RESULTS, USAGE

ROWS = 100_000
FROM_KAFKA = 3 * ROWS
RESULT = (
    b'{"id":"%s","tenant":"acme","run":1,"status":"completed","output":{"label":"positive"},"error":null,'
    b'"model":"small","provider":"simulated","cached":null,"usage":{"input_tokens":31,"output_tokens":8,'
    b'"cached_input_tokens":0,"reasoning_tokens":0,"cost_usd":"0.0000094","attempts":1},"timings":{"queued_ms":4,'
    b'"provider_ms":412,"total_ms":421},"template":null,"output_schema":null,"request_hash":"sha256:00","api_key_id":'
    b'null,"batch_id":null,"subject":null,"tags":{"team":"support"},"metadata":{},"submitted_at":'
    b'"2026-11-20T12:00:00.000Z","completed_at":"2026-11-20T12:00:00.421Z"}'
)
CALL = (
    b'{"id":"%s","tenant":"acme","run":1,"attempt":1,"api_key_id":null,"provider":"simulated","model":"small",'
    b'"template":null,"tags":{"team":"support"},"outcome":"ok","input_tokens":31,"output_tokens":8,'
    b'"cached_input_tokens":0,"reasoning_tokens":0,"cost_usd":"0.0000094","price_version":"2026-01","latency_ms":412,'
    b'"provider_request_id":null,"at":"2026-11-20T12:00:00.004Z"}'
)
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
SENT_WITH = headers.RESULT.headers("acme/order-981/1", "2026-01-01T00:00:00.000Z")


def items(count: int) -> list[Item]:
    """Results and usage records in turn, each with an id of its own."""
    ids = [b"order-%08d" % n for n in range(count // 2)]
    pairs = ((Item(RESULTS, 0, 0, NOW, id, RESULT % id), Item(USAGE, 0, 0, NOW, b"acme", CALL % id)) for id in ids)
    return [item for pair in pairs for item in pair]


@dataclass
class Meter:
    """Times a piece of work, with the CPU it takes here and in ClickHouse."""

    engine: psutil.Process | None

    async def measure(self, name: str, rows: int, work: Callable[[], Awaitable[object]]) -> None:
        wall, ours, engine = time.perf_counter(), time.process_time(), self._engine_cpu()
        await work()
        wall, ours, engine = time.perf_counter() - wall, time.process_time() - ours, self._engine_cpu() - engine
        ours_us, engine_us = ours / rows * 1e6, engine / rows * 1e6
        print(f"{name:34} {rows / wall:9,.0f} rows/s   us CPU a row: ours {ours_us:5.2f}  engine {engine_us:5.2f}")

    def _engine_cpu(self) -> float:
        return sum(self.engine.cpu_times()[:2]) if self.engine else 0.0


def listener(port: int | None) -> psutil.Process | None:
    """The process that listens on `port` here."""
    listening = (c for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.pid)
    return next((psutil.Process(c.pid) for c in listening if c.laddr.port == port), None)


async def clients(meter: Meter, url: str, batch: Sequence[Item]) -> None:
    """The same insert over aiohttp and over clickhouse-connect."""
    values = [item.value for item in batch if item.topic == RESULTS]
    rows, results = len(values), b"".join([b'{"value":' + value + b"}\n" for value in values])
    async with ClickHouse(url) as ours:
        await meter.measure("one insert over aiohttp", rows, lambda: ours.insert("results_inlet", Rows(values)))
    other = await clickhouse_connect.get_async_client(dsn=url, settings=INSERT_SETTINGS)

    def insert() -> Awaitable[object]:
        return other.raw_insert("results_inlet", insert_block=results, fmt="JSONEachRow")

    await meter.measure("one insert over clickhouse-connect", rows, insert)
    await other.close()


async def sink_alone(meter: Meter, url: str, rows: Sequence[Item]) -> None:
    """ClickHouseSink.write in batches of three sizes."""
    async with ClickHouse(url) as clickhouse:
        sink = ClickHouseSink(clickhouse)
        for size in (1_000, 10_000, 50_000):
            # small batches take long: fewer of them say as much
            chosen = rows[: max(size, ROWS // 5 if size == 1_000 else ROWS)]
            batches = [chosen[at : at + size] for at in range(0, len(chosen), size)]

            async def write(batches: Sequence[Sequence[Item]] = batches) -> None:
                for batch in batches:
                    assert await sink.write(batch) == []

            await meter.measure(f"sink, batches of {size}", len(chosen), write)


async def from_kafka(meter: Meter, kafka: str, url: str, rows: Sequence[Item], prefix: str) -> None:
    """The sink runner, from topics that are full already to tables that hold everything."""
    connection = {"bootstrap.servers": kafka}
    producer = KafkaProducer(connection, prefix=prefix)
    for at in range(0, len(rows), 5_000):
        await producer.send([Record(item.topic, item.value, item.key, SENT_WITH) for item in rows[at : at + 5_000]])
    # as the sink's process does; or the collector would walk the rows made above again and again
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    source = BatchConsumer(connection, [RESULTS, USAGE], "benchmark", Bounds(), prefix=prefix)
    health, metrics = Condition("clickhouse"), MemoryMetrics()

    running = asyncio.ensure_future(
        deliver(source, ClickHouseSink(ClickHouse(url)), producer, Policy("clickhouse"), metrics, health)
    )

    async def until(count: int) -> None:
        while metrics.value("sink_rows", sink="clickhouse") < count and not running.done():
            await asyncio.sleep(0.005)

    # joining the group and the first batch are no matter of speed
    await until(1)
    done = int(metrics.value("sink_rows", sink="clickhouse"))
    await meter.measure("from Kafka, batches of 10000", len(rows) - done, lambda: until(len(rows)))
    health.stop()
    await running
    await producer.close()


async def main(kafka: str, clickhouse_url: str, rounds: int) -> None:
    name = f"benchmark_{secrets.token_hex(4)}"
    parts = urlsplit(clickhouse_url)
    url, meter = urlunsplit(parts._replace(path=f"/{name}")), Meter(listener(parts.port))
    admin = AdminClient({"bootstrap.servers": kafka})
    async with ClickHouse(url) as clickhouse:
        await clickhouse.execute(f"CREATE DATABASE {name}", database="default")
        await apply(clickhouse)
        try:
            for number in range(rounds):
                prefix = f"{name}.{number}."
                topics = [prefix + RESULTS, prefix + USAGE, prefix + DEAD_LETTERS]
                for created in admin.create_topics([NewTopic(topic, 12, 1) for topic in topics]).values():
                    created.result()
                rows = items(ROWS)
                await clients(meter, url, rows[:20_000])
                await sink_alone(meter, url, rows)
                await from_kafka(meter, kafka, url, items(FROM_KAFKA), prefix)
                for deleted in admin.delete_topics(topics).values():
                    deleted.result()
        finally:
            await clickhouse.execute(f"DROP DATABASE {name}", database="default")


if __name__ == "__main__":
    uvloop.run(
        main(
            os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            os.environ["CLICKHOUSE_URL"],
            int(sys.argv[1]) if len(sys.argv) > 1 else 1,
        )
    )
