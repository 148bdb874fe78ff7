"""A deploy whose handler raises for everything, on the real broker: it stops, and says so; bad input never stops it."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from typer.testing import CliRunner

from cli.main import build
from ops.local.ports import Ports
from tests.conftest import Engines

pytestmark = [pytest.mark.integration, pytest.mark.timeout(170)]
GOOD = "from agents.main import run"
BAD_INTAKE = """
from agents.intake.handler import Intake
async def handle_batch(self, batch): raise RuntimeError("a bad deploy")
Intake.handle_batch = handle_batch
"""
BAD_INFER = """
from agents.infer.handler import Infer
async def handle(self, delivery): raise RuntimeError("a bad deploy")
Infer.handle = handle
"""
BAD_CALL = """
from agents.infer.answering import Answering
async def answer(self, delivery, work): raise RuntimeError("a bad deploy")
Answering.answer = answer
"""
BAD_BURIAL = """
async def bury(self, delivery, error): raise RuntimeError("no burial either")
Intake.bury = bury
"""
START = """
from os import environ
from domain.settings import load
run(load(environ, str), environ, ["intake", "infer", "wake"])
"""


class Deploys:
    """Versions of the worker, one after the other, on topics and a database of their own."""

    def __init__(self, environ: dict[str, str], prefix: str, directory: Path) -> None:
        self.environ, self._prefix, self._directory = environ, prefix, directory
        self._kafka = {"bootstrap.servers": environ["KAFKA_BOOTSTRAP_SERVERS"]}
        self.port = Ports(directory / "ports.json").of("worker")
        self._running: subprocess.Popen[bytes] | None = None

    def deploy(self, fault: str = "") -> subprocess.Popen[bytes]:
        """The next version; the one before is stopped first."""
        self.stop()
        environ = {**os.environ, **self.environ, "STRUCTURED_PROMPT_METRICS_PORT": str(self.port)}
        with (self._directory / "worker.log").open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-c", f"{fault}\n{GOOD}\n{START}"], env=environ, stdout=log, stderr=log
            )
        return self._running

    def stop(self) -> None:
        if self._running is not None:
            self._running.terminate()
            self._running.wait(40)
            self._running = None

    def publish(self, *values: bytes) -> None:
        producer = Producer(self._kafka)
        for value in values:
            producer.produce(f"{self._prefix}prompt.requests", value)
        assert producer.flush(20) == 0

    def read(self, topic: str, partitions: int = 12) -> list[dict[str, Any]]:
        consumer = Consumer({**self._kafka, "group.id": "outside", "enable.auto.commit": False})
        consumer.assign([TopicPartition(self._prefix + topic, number, 0) for number in range(partitions)])
        found, quiet = [], 0
        while quiet < 4:
            messages = [one for one in consumer.consume(2_000, 0.25) if one.error() is None]
            quiet = 0 if messages else quiet + 1
            found += [json.loads(one.value()) for one in messages]
        consumer.close()
        return found

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)


@pytest.fixture
def deploys(
    engines: Engines, database_url: str, redis_url: str, clickhouse_url: str, topic_prefix: str, tmp_path: Path
) -> Iterator[Deploys]:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": engines.kafka, "DATABASE_URL": database_url, "REDIS_URL": redis_url,
        "CLICKHOUSE_URL": clickhouse_url, "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix,
        "STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL": engines.provider_url,
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
    }  # fmt: skip
    found = Deploys(environ, topic_prefix, tmp_path)
    for words in (["topics", "apply"], ["tenants", "create", "acme", "--if-missing"]):
        applied = CliRunner(env=environ).invoke(build(), [*words, "--use-env"], catch_exceptions=False)
        assert applied.exit_code == 0, applied.output
    yield found
    with suppress(subprocess.TimeoutExpired):
        found.stop()


def until(happened: Callable[[], bool], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, what
        time.sleep(0.3)


def requests(name: str, count: int, **more: str) -> list[bytes]:
    body = {"tenant": "acme", "prompt": "Is it good?", **more}
    return [json.dumps({"id": f"{name}-{n}", **body}).encode() for n in range(count)]


@pytest.mark.parametrize(("stage", "fault"), [("intake", BAD_INTAKE), ("infer", BAD_INFER)])
def test_S6_a_bad_deploy_stops_instead_of_draining_the_topic_into_the_dead_letters(
    deploys: Deploys, stage: str, fault: str
) -> None:
    bad = deploys.deploy(fault)
    deploys.publish(*requests(stage, 300))
    until(lambda: deploys.ask("/readyz")[0] == 503 and "halted" in deploys.ask("/readyz")[1], "it does not halt")
    said = json.loads(deploys.ask("/readyz")[1])["checks"][stage]
    assert said["ok"] is False
    assert "25 faults of ours within 60 s" in said["detail"]
    assert "a bad deploy" in said["detail"]
    assert "redrive" in said["detail"]
    time.sleep(3)
    assert deploys.ask("/healthz")[0] == 200, "started anew, the same version would bury as many again"
    assert bad.poll() is None
    buried = [letter["id"] for letter in deploys.read("prompt.dead-letters", 4)]
    assert len(set(buried)) == len(buried) == 24

    deploys.deploy()
    results: list[dict[str, Any]] = []

    def all_answered() -> bool:
        results[:] = deploys.read("prompt.results")
        return len({row["id"] for row in results}) == 300

    until(all_answered, "what was not buried is not answered by the mended version", 90)
    failed = {row["id"] for row in results if row["status"] != "completed"}
    assert failed == set(buried)
    assert {row["error"]["code"] for row in results if row["id"] in failed} == {"internal"}


def test_S6_L6_what_a_halted_stage_had_taken_is_ended_at_its_deadline_by_others(deploys: Deploys) -> None:
    """Nobody touches what is under a lease; so the lease is given back when nothing is in hand any more."""
    deploys.deploy(BAD_CALL)
    deadline = (datetime.now(UTC) + timedelta(seconds=40)).isoformat()
    deploys.publish(*requests("taken", 120, deadline=deadline))
    until(lambda: "halted" in deploys.ask("/readyz")[1], "it does not halt")
    until(
        lambda: "given back" in json.loads(deploys.ask("/readyz")[1])["checks"]["lease"]["detail"], "it keeps its lease"
    )
    assert deploys.ask("/healthz")[0] == 200

    def ended() -> dict[str, str]:
        return {row["id"]: row["error"]["code"] for row in deploys.read("prompt.results")}

    until(lambda: len(ended()) == 120, "what it had taken is not ended", 100)
    codes = Counter(ended().values())
    assert codes == {"internal": 24, "deadline_exceeded": 96}


def test_S6_bad_input_never_stops_a_stage(deploys: Deploys) -> None:
    deploys.deploy()
    poison = [b"not JSON", b'{"id": "x"}', b"[]", b'{"id":"y","tenant":"nobody","prompt":"x"}', b"\xff\xfe", b"{" * 100]
    deploys.publish(*(poison * 40), *requests("after", 20))
    until(lambda: len({row["id"] for row in deploys.read("prompt.results")}) == 20, "the good ones are not answered")
    assert deploys.ask("/readyz")[0] == 200
    assert len(deploys.read("prompt.dead-letters", 4)) == 240


def test_S5_a_process_that_can_neither_finish_nor_bury_leaves_and_the_next_one_answers(deploys: Deploys) -> None:
    bad = deploys.deploy(BAD_INTAKE + BAD_BURIAL)
    deploys.publish(*requests("stuck", 5))
    bad.wait(60)
    assert deploys.read("prompt.dead-letters", 4) == []
    deploys.deploy()
    until(lambda: len({row["id"] for row in deploys.read("prompt.results")}) == 5, "the next one does not answer")
    assert {row["status"] for row in deploys.read("prompt.results")} == {"completed"}
