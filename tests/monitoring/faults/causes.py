"""What is broken, and how. A cause returns when the fault is there."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from confluent_kafka import Producer

from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import Pool
from domain.webhooks.model import Endpoint
from tests.line.processes import TENANT, Worker, until
from tests.monitoring.faults.place import Line, patiently
from topics.table import REQUESTS

Cause = Callable[[], None]
PRICEY = "What is all this? " + "word " * 80_000
"""A hundred thousand tokens."""


@dataclass(frozen=True)
class Alert:
    """`like` are labels that it must have, so that no other fault's is taken for it."""

    name: str
    like: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Fault:
    """`mend` does what the runbook says, and returns when its effect is seen; `mended` says what that is."""

    what: str
    cause: Cause
    alerts: tuple[Alert, ...]
    mended: str = ""
    mend: Cause | None = None


def junk(line: Line, topic: str, count: int) -> None:
    producer = Producer({"bootstrap.servers": line.of.settings.kafka, "acks": "all", "log_level": 3})
    for _ in range(count):
        producer.produce(line.of.settings.topic_prefix + topic, b"no JSON")
    assert producer.flush(30) == 0


def kill(worker: Worker) -> None:
    worker.process.kill()


def restart(line: Line, worker: Worker, *words: str) -> None:
    """Five times, from another thread on."""

    def work() -> None:
        found = worker
        for _ in range(5):
            found = line.again(found, *words)
            until(found.is_ready, 120)
            time.sleep(10)

    patiently(work)


def freeze_again_and_again(worker: Worker) -> None:
    """It runs for a quarter of a second, then not for one and a half."""

    def work() -> None:
        with suppress(ProcessLookupError):  # it has ended
            while worker.process.poll() is None:
                worker.send(signal.SIGSTOP)
                time.sleep(1.5)
                worker.send(signal.SIGCONT)
                time.sleep(0.25)

    patiently(work)


def few_descriptors(worker: Worker) -> None:
    """Its limit comes down to what it has open."""
    process = psutil.Process(worker.process.pid)
    most = process.num_fds()
    process.rlimit(psutil.RLIMIT_NOFILE, (most, most))


def strangers(line: Line, tenant: str) -> list[str]:
    """Thirty requests of a tenant that there is not, and some that nobody can read."""
    junk(line, REQUESTS, 3)
    return line.ask(30, tenant=tenant)


def use_up_a_budget(line: Line) -> None:
    """That of one template, so that everything else goes on."""
    budget = ("tiny", "--tenant", TENANT, "--template", "sentiment", "--limit", "0.0001", "--per", "day")
    line.command("budgets", "create", *budget)
    line.of.publish([love(line, number) for number in range(100)])


def love(line: Line, number: int, tag: str = "first") -> dict[str, object]:
    template = {"name": "sentiment", "variables": {"text": f"I love {tag} {number}"}}
    return {"id": f"{line.name}-{tag}-{number}", "template": template}


def spend(line: Line, tenant: str, count: int, **more: str) -> list[str]:
    """A quarter of a dollar each."""
    return line.ask(count, PRICEY, tenant=tenant, model="smart", **more)


def subscribe(line: Line, id: str, url: str) -> None:
    async def add(pool: Pool) -> None:
        one = Endpoint(TENANT, id, url, ("request.completed",), b"salt", datetime.now(UTC))
        await PostgresEndpoints(pool).add(one)

    line.of._ask(add)


def die_with_calls(line: Line, infer: Worker, *words: str) -> None:
    """A worker has many calls that hang, and is killed; another starts."""
    line.of.provide(failure="hang")
    line.ask(60)
    until(lambda: sum(line.of.calls().values()) > 25, 120, infer.log.read_text)
    line.again(infer, *words)


def let_go(ends: list[Cause]) -> None:
    for end in ends:
        end()


def fill(mounted: Path) -> None:
    size = int(shutil.disk_usage(mounted).free * 0.95)
    subprocess.run(["fallocate", "-l", str(size), str(mounted / "full")], check=True)
