"""What the sinks of BigQuery, Google Sheets and Snowflake cost a row: `python -m benchmarks.warehouses [NAME …]`.

Takes KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL of this machine; a database and topics of its own. Each sink is the
process that production runs (`structured-prompt sink NAME`), from a backlog on Kafka into a fake of its destination in
a process of its own (tests/fakes), so rows/s say what the sink can do and nothing of Google or Snowflake. Google Sheets
gets few rows: it has a quota of writes a minute, and keeps below it.
"""

import re
import sys
import time
from collections.abc import Mapping
from os import environ
from secrets import token_hex

from confluent_kafka import Producer

from benchmarks.databases import own_database
from benchmarks.engines import free_port
from benchmarks.processes import Failed, Process, get, run
from benchmarks.sink import items

ROWS = {"bigquery": 100_000, "snowflake": 100_000, "sheets": 20_000}
WRITTEN = re.compile(rb"^structured_prompt_sink_rows_total\{[^}]*\} (\S+)$", re.MULTILINE)
OWN = "STRUCTURED_PROMPT_"


def settings(name: str, said: str) -> dict[str, str]:
    """Of the sink, from the addresses that its fake printed."""
    if name == "bigquery":
        rest, write = said.split()
        return {"DATASET": "project.results", "ENDPOINT": rest, "WRITE_ENDPOINT": write}
    if name == "snowflake":
        return {"ACCOUNT": "fakesnow", "USER": "fake", "DATABASE": "ANALYTICS", "ENDPOINT": said}
    return {"SPREADSHEET": "1AbC-sheet", "ENDPOINT": said}


def measure(name: str, base: Mapping[str, str]) -> None:
    rows, prefix = ROWS[name], f"bench{token_hex(4)}."
    topics = {**base, f"{OWN}TOPIC_PREFIX": prefix}
    run(["cli.main", "topics", "apply"], topics)
    producer = Producer(
        {"bootstrap.servers": base["KAFKA_BOOTSTRAP_SERVERS"], "queue.buffering.max.messages": rows + 1}
    )
    for row in items(rows):
        producer.produce(prefix + row.topic, row.value, key=row.key)
    if producer.flush(60):
        raise Failed("Kafka does not take the rows within 60 s")
    fake = Process(f"fake-{name}", [f"tests.fakes.{name}"])
    try:
        said = fake.wait_line("127.0.0.1", 120)
        given = {f"{OWN}SINK_{name.upper()}_{key}": value for key, value in settings(name, said).items()}
        port = free_port()
        sink = Process(name, ["cli.main", "sink", name], {**topics, **given, f"{OWN}METRICS_PORT": str(port)})
        try:
            watch(sink, fake, f"http://127.0.0.1:{port}/metrics", rows if name != "sheets" else rows // 2)
        finally:
            sink.stop()
    finally:
        fake.stop()


def watch(sink: Process, fake: Process, metrics: str, rows: int) -> None:
    """From its first rows to its last."""
    first, peak, deadline = None, 0.0, time.monotonic() + 300
    while True:
        if time.monotonic() > deadline:
            raise Failed(f"{sink.name} does not come to its end:\n{sink.output[-2000:]}")
        sink.check()
        now = time.perf_counter(), sink.cpu, fake.cpu, written(metrics)
        first = first if first or not now[3] else now
        peak = max(peak, sink.rss_mb)
        if first and now[3] >= rows:
            break
        time.sleep(0.02)
    wall, ours, theirs, count = (end - start for end, start in zip(now, first, strict=True))
    print(
        f"{sink.name:10} {count:8,} rows {count / wall:8,.0f} rows/s   us CPU a row: ours {ours / count * 1e6:6.1f}  "
        f"fake {theirs / count * 1e6:6.1f}   RSS {sink.rss_mb:4.0f} MB, at most {peak:4.0f}"
    )


def written(metrics: str) -> int:
    try:
        return sum(int(float(rows)) for rows in WRITTEN.findall(get(metrics)))
    except OSError:
        return 0


def main(names: list[str]) -> None:
    with own_database() as url:
        base = {
            **{name: environ.get(name, "") for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "CLICKHOUSE_URL")},
            "DATABASE_URL": url,
            f"{OWN}KEY_PEPPER": "p" * 32,
            f"{OWN}REPLICATION_FACTOR": "1",
            f"{OWN}SINK_ANSWERS": "all",
        }
        for name in names or ROWS:
            measure(name, base)


if __name__ == "__main__":
    main(sys.argv[1:])
