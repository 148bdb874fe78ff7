"""Identical requests over three worker processes on the real engines, the holder of the question killed (L14), and an
invalidation that two intake processes hear (L13)."""

import json
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from confluent_kafka import Producer

from domain.caching.generations import Scope
from domain.forgetting.invalidation import records
from domain.ledger.results import call_id
from tests.conftest import Engines
from tests.line.processes import TENANT, Processes, Worker, processes, until
from tests.line.test_takeover import free_port

pytestmark = [pytest.mark.integration, pytest.mark.timeout(150)]


@pytest.fixture
def line(engines: Engines, database_url: str, redis_url: str, topic_prefix: str, tmp_path: Path) -> Iterator[Processes]:
    with processes(engines, database_url, redis_url, topic_prefix, tmp_path) as found:
        found.start("intake,wake", free_port())
        found.start("intake", free_port())
        yield found


def ask(line: Processes, prompt: str, count: int) -> list[str]:
    ids = [f"{uuid.uuid4().hex[:8]}-{number}" for number in range(count)]
    line.publish([{"id": id, "prompt": prompt} for id in ids])
    return ids


def results_of(line: Processes, ids: list[str]) -> Counter[tuple[str, str | None, int, str]]:
    """Status, mark, attempts and cost; each request has one result, however often it was produced."""
    found = line.results(ids, 60)
    assert all(len(set(values)) == 1 for values in found.values())
    rows = [json.loads(found[id][0]) for id in ids]
    return Counter((r["status"], r["cached"], r["usage"]["attempts"], r["usage"]["cost_usd"]) for r in rows)


def forget_all(line: Processes) -> None:
    (said,) = records(TENANT, [Scope("tenant")], uuid.uuid4().hex, datetime.now(UTC))
    producer = Producer({"bootstrap.servers": line.settings.kafka, "acks": "all", "log_level": 3})
    producer.produce(line.settings.topic_prefix + said.topic, said.value, said.key)
    assert producer.flush(10) == 0


def holder_of(line: Processes, workers: list[Worker], ids: list[str]) -> Worker:
    """The process that makes the call of one of these."""
    (record,) = [row for row in line.find(ids).values() if row.attempts]
    (holder,) = [worker for worker in workers if (record.worker or "nobody") in worker.log.read_text()]
    return holder


def test_L13_L14_two_hundred_are_one_call_and_one_more_when_forgotten_or_killed(
    line: Processes,
) -> None:
    workers = [line.start("infer", free_port()) for _ in range(3)]
    until(lambda: line.serving("infer") == 3, 30, workers[0].log.read_text)
    line.provide(latency_ms={"mean": 1_500, "jitter": 0})
    found = results_of(line, ask(line, "Where is my parcel?", 200))
    assert sum(line.calls().values()) == 1
    assert {key[:3]: count for key, count in found.items()} == {
        ("completed", None, 1): 1,
        ("completed", "coalesced", 0): 199,
    }
    assert {key[3] for key in found if key[1]} == {"0"}

    line.provide(latency_ms={"mean": 0, "jitter": 0})
    until(lambda: line.serving("intake") == 2, 30)
    again = results_of(line, ask(line, "Where is my parcel?", 40))
    assert {key[:3] for key in again} == {("completed", "exact", 0)}
    forget_all(line)
    time.sleep(1.0)
    once = results_of(line, ask(line, "Where is my parcel?", 40))
    assert sum(count for key, count in once.items() if key[1] is None) == sum(line.calls().values()) == 1

    line.provide(latency_ms={"mean": 4_000, "jitter": 0})
    ids = ask(line, "How much is the fish?", 30)
    until(lambda: sum(line.calls().values()) == 1, 20)
    until(lambda: sum(record.reason == "coalesced" for record in line.find(ids).values()) == 29, 20)
    holder_of(line, workers, ids).send(signal.SIGKILL)
    found = results_of(line, ids)
    assert {key[:3]: count for key, count in found.items()} == {
        ("completed", None, 2): 1,
        ("completed", "coalesced", 0): 29,
    }
    assert sorted(line.calls().values()) == [2]
    assert set(line.calls()) <= {call_id(TENANT, id, 1) for id in ids}
