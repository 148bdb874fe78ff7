"""`make demo`: the sample job on the embedded stack, from an empty directory to the bill.

Publishes the sample requests with a plain Kafka client, reads their results, asks ClickHouse what they cost, compares
everything with what was expected, and stops all it started. Any process of the stack may be killed meanwhile.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent.parent / "ops" / "local" / "samples"
RESULTS, DEAD_LETTERS, REQUESTS = "prompt.results", "prompt.dead-letters", "prompt.requests"
SHOWN = 12
WIDTH = 80


@dataclass(slots=True)
class Seen:
    """What came out so far: the bytes of each (id, run), the ids in their order, and the dead letters."""

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    bytes_of: dict[tuple[str, int], bytes] = field(default_factory=dict)
    letters: dict[tuple[str, int, int], str] = field(default_factory=dict)
    differing: list[str] = field(default_factory=list)

    def take(self, topic: str, value: bytes) -> None:
        row = json.loads(value)
        if topic == DEAD_LETTERS:
            self.letters[row["topic"], row["partition"], row["offset"]] = row["code"]
            return
        first = self.bytes_of.setdefault((row["id"], row["run"]), value)
        if first != value:
            self.differing.append(row["id"])
        self.results.setdefault(row["id"], row)


def main() -> int:
    """0 only if every request ended as expected."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".local/demo"), help="a directory of its own, emptied first")
    parser.add_argument("--keep", action="store_true", help="leave the stack running")
    parser.add_argument("--seconds", type=float, default=180.0, help="how long the results may take")
    options = parser.parse_args()
    data = options.data.absolute()
    _empty(data)
    try:
        _up(data)
        return asyncio.run(_job(data, options.seconds))
    finally:
        if not options.keep:
            _down(data)


def _empty(data: Path) -> None:
    from ops.local.control import stop
    from ops.local.instance import is_running

    if is_running(data):
        stop(data)
    if data.exists():
        shutil.rmtree(data)


def _up(data: Path) -> None:
    from cli.local import Beside, up

    up(Beside(), data=data, port=None, workers=1, detach=True, use_env="")


def _down(data: Path) -> None:
    from ops.local.control import stop

    stop(data)


async def _job(data: Path, seconds: float) -> int:
    from ops.local.environment import read_env

    expected = json.loads((SAMPLES / "expected.json").read_text())
    env = read_env(data)
    lines = (SAMPLES / "requests.jsonl").read_bytes().splitlines()
    await asyncio.to_thread(_publish, env["KAFKA_BOOTSTRAP_SERVERS"], lines)
    print(f"\npublished {len(lines)} sample requests to {REQUESTS}\n")
    seen = await asyncio.to_thread(_collect, data, env["KAFKA_BOOTSTRAP_SERVERS"], expected, seconds)
    _show(seen)
    problems = _problems(seen, expected)
    problems += await _usage(env["CLICKHOUSE_URL"], seen, expected)
    for problem in problems:
        print(f"unexpected: {problem}", file=sys.stderr)
    if not problems:
        print(f"\nall {len(expected['results'])} requests ended as expected, {expected['dead_letters']} dead letter")
    return 1 if problems else 0


def _publish(broker: str, lines: list[bytes]) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker, "acks": "all", "enable.idempotence": True})
    for line in lines:
        producer.produce(REQUESTS, line)
    producer.flush(120)


def _collect(data: Path, broker: str, expected: dict[str, Any], seconds: float) -> Seen:
    from confluent_kafka import Consumer
    from rich.progress import Progress

    seen, wanted = Seen(), len(expected["results"]) + expected["dead_letters"]
    consumer = Consumer(
        {"bootstrap.servers": broker, "group.id": "demo", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    consumer.subscribe([RESULTS, DEAD_LETTERS])
    deadline = time.monotonic() + seconds
    with Progress(transient=True) as progress:
        task = progress.add_task("results", total=wanted)
        while len(seen.results) + len(seen.letters) < wanted and time.monotonic() < deadline:
            for message in (one for one in consumer.consume(500, 0.3) if one.error() is None):
                seen.take(message.topic() or "", message.value() or b"")
            progress.update(task, completed=len(seen.results) + len(seen.letters))
            _revive(data)
    consumer.close()
    return seen


def _revive(data: Path) -> None:
    """The supervisor restarts what dies; if it died itself, the same directory is started again."""
    from ops.local.instance import is_running

    if not is_running(data):
        _up(data)


def _show(seen: Seen) -> None:
    from cli._output import print_table

    rows = []
    for row in list(seen.results.values())[:SHOWN]:
        said = row["output"] if row["status"] == "completed" else row["error"]["message"]
        text = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        cost = row["usage"]["cost_usd"]
        rows.append((row["id"], row["status"], _short(text), row["cached"], row["usage"]["attempts"], cost))
    print_table(("id", "status", "answer", "cached", "attempts", "cost_usd"), rows)
    print(
        f"… {len(seen.results)} results in all, {len(seen.letters)} dead letter: {', '.join(seen.letters.values())}\n"
    )


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _problems(seen: Seen, expected: dict[str, Any]) -> list[str]:
    found = [f"{id} came out twice and differs" for id in seen.differing]
    for id, wanted in expected["results"].items():
        row = seen.results.get(id)
        if row is None:
            found.append(f"{id} has no result")
            continue
        code = row["error"]["code"] if row["error"] else None
        if (row["status"], code) != (wanted["status"], wanted["error_code"]):
            found.append(
                f"{id} is {row['status']} {code or ''}, expected {wanted['status']} {wanted['error_code'] or ''}"
            )
    if len(seen.letters) != expected["dead_letters"]:
        found.append(f"{len(seen.letters)} dead letters, expected {expected['dead_letters']}")
    return found


async def _usage(url: str, seen: Seen, expected: dict[str, Any]) -> list[str]:
    """The usage table; problems where ClickHouse does not know every request within 30 s."""
    from cli._output import print_table
    from connectors.clickhouse.client import ClickHouse
    from connectors.clickhouse.reader import ClickHouseUsage

    clickhouse = ClickHouse(url)
    await clickhouse.open()
    try:
        reader, since = ClickHouseUsage(clickhouse), datetime.now(UTC) - timedelta(days=1)
        rows: list[dict[str, Any]] = []
        for _ in range(60):
            rows = await reader.usage("demo", ["template", "model"], since)
            if sum(row["requests"] for row in rows) >= len(expected["results"]):
                break
            await asyncio.sleep(0.5)
    finally:
        await clickhouse.close()
    columns = ("template", "model", "requests", "completed", "failed", "rejected", "cached", "input_tokens", "cost_usd")
    print_table(columns, [[row[name] for name in columns] for row in rows], title="usage, from ClickHouse")
    counted = sum(row["requests"] for row in rows)
    return (
        [] if counted == len(expected["results"]) else [f"ClickHouse counts {counted} of {len(seen.results)} requests"]
    )


if __name__ == "__main__":
    sys.exit(main())
