"""The ClickHouse sink as production starts it, on topics that were filled before."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from confluent_kafka import Producer

from benchmarks.engines import Engines
from benchmarks.line import Ours
from benchmarks.processes import Failed, Process, get, run
from benchmarks.sink import items
from domain.ports import Item

ROWS = re.compile(rb'^structured_prompt_sink_rows_total\{[^}]*sink="clickhouse"[^}]*\} (\S+)$', re.MULTILINE)
LOOK_S = 0.025
"""A look costs the sink and this process some milliseconds of the cores that they share with the engine."""


@dataclass(frozen=True, slots=True)
class SinkRun:
    """CPU in microseconds a row."""

    per_second: float
    cpu_us: float
    engine_us: float
    rss_mb: float


def sink_runs(line: Ours, rows: int, runs: int) -> list[SinkRun]:
    """Fill topics of their own, start the sink, watch it until everything is written; so many times."""
    prefix = {"STRUCTURED_PROMPT_TOPIC_PREFIX": "sinks."}
    run(["cli.main", "topics", "apply"], {**line.environment, **prefix})
    measured = []
    for _ in range(runs):
        _fill(line.engines.kafka, "sinks.", items(rows))
        port = line.add("sink", ["sink", "clickhouse"], prefix)
        measured.append(_watch(line.process("sink"), line.engines, f"http://127.0.0.1:{port}/metrics", rows))
        line.remove("sink")
    return measured


def _fill(kafka: str, prefix: str, rows: Sequence[Item]) -> None:
    producer = Producer({"bootstrap.servers": kafka, "linger.ms": 20, "queue.buffering.max.messages": len(rows) + 1})
    for row in rows:
        producer.produce(prefix + row.topic, row.value, key=row.key)
    if producer.flush(60):
        raise Failed("Kafka does not take the rows of the sink within 60 s")


def _watch(sink: Process, engines: Engines, metrics: str, rows: int) -> SinkRun:
    """From its first rows, so that joining the group is no matter of speed."""

    deadline = time.monotonic() + 120

    def until(rows: int) -> int:
        while (written := _written(metrics)) < rows:
            if time.monotonic() > deadline:
                raise Failed(f"the sink stopped at {written} of {rows} rows:\n{sink.output[-2000:]}")
            time.sleep(LOOK_S)
        return written

    first = until(1)
    began, ours, engine = time.perf_counter(), sink.cpu, engines.cpu("clickhouse")
    written = until(rows) - first
    wall = time.perf_counter() - began
    ours, engine = sink.cpu - ours, engines.cpu("clickhouse") - engine
    return SinkRun(written / wall, ours / written * 1e6, engine / written * 1e6, sink.rss_mb)


def _written(metrics: str) -> int:
    return sum(int(float(rows)) for rows in ROWS.findall(get(metrics)))
