"""The whole stack as `structured-prompt up` starts it, spoken to from outside only."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from ops.local.environment import clean, read_env
from ops.local.tools import found

PARTITIONS = {
    "prompt.requests": 12,
    "prompt.results": 12,
    "prompt.usage": 12,
    "prompt.events": 12,
    "prompt.dead-letters": 4,
}


class Product:
    """What a user has: addresses, a key, a Kafka client, an HTTP client, the command line."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.env = read_env(data)
        self._producer = Producer({"bootstrap.servers": self.env["KAFKA_BOOTSTRAP_SERVERS"], "acks": "all"})

    def publish(self, *bodies: dict[str, Any] | bytes | None, topic: str = "prompt.requests") -> None:
        for body in bodies:
            self._producer.produce(topic, body if isinstance(body, bytes) or body is None else json.dumps(body))
        assert self._producer.flush(60) == 0

    def read(
        self, topic: str, enough: Callable[[list[dict[str, Any]]], bool], seconds: float = 40.0
    ) -> list[dict[str, Any]]:
        """Every value on a topic, in no order, until they are enough or the time is over."""
        consumer = Consumer({
            "bootstrap.servers": self.env["KAFKA_BOOTSTRAP_SERVERS"], "group.id": "outside",
            "enable.auto.commit": False,
        })  # fmt: skip
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS[topic])])
        found: list[dict[str, Any]] = []
        deadline = time.monotonic() + seconds
        try:
            while not enough(found) and time.monotonic() < deadline:
                messages = (one for one in consumer.consume(1000, 0.2) if one.error() is None)
                found += [{**json.loads(one.value()), "_raw": one.value()} for one in messages]
        finally:
            consumer.close()
        return found

    def results(self, ids: list[str], seconds: float = 60.0) -> dict[str, list[dict[str, Any]]]:
        """The results of these ids, every production of each."""
        wanted = set(ids)
        rows = self.read("prompt.results", lambda found: wanted <= {row["id"] for row in found}, seconds)
        by_id: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            if row["id"] in wanted:
                by_id[row["id"]].append(row)
        return by_id

    def control(self, method: str = "GET", **body: Any) -> dict[str, Any]:
        """The simulated provider's control."""
        url = self.env["PROVIDER_URL"].removesuffix("/v1") + "/control"
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return dict(json.loads(answer.read() or b"{}"))

    def clickhouse(self, query: str) -> list[dict[str, Any]]:
        parts = urlsplit(self.env["CLICKHOUSE_URL"])
        token = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        url = f"http://{parts.hostname}:{parts.port}/?database={parts.path.strip('/')}"
        request = urllib.request.Request(url, f"{query} FORMAT JSON".encode(), {"Authorization": f"Basic {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return list(json.loads(answer.read())["data"])

    def run(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """The command line, on this stack."""
        command = [sys.executable, "-m", "cli.main", *words, "--data", str(self.data)]
        return subprocess.run(
            command, capture_output=True, text=True, env=clean(os.environ), timeout=120, input=stdin, check=False
        )

    def status(self) -> dict[str, dict[str, Any]]:
        return {row["name"]: row for row in json.loads(self.run("status", "--json").stdout)}

    def kill(self, name: str) -> None:
        os.kill(self.status()[name]["pid"], signal.SIGKILL)

    @contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """A process that stands still (SIGSTOP) while the block runs."""
        pid = self.status()[name]["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def wait_healthy(self, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            rows = self.status().values()
            if rows and all(row["health"] == "healthy" for row in rows):
                return
            time.sleep(0.5)
        raise AssertionError(f"not healthy after {seconds} s: {self.status()}")


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """One stack for all end-to-end tests of the session."""
    data = tmp_path_factory.mktemp("stack")
    command = [sys.executable, "-m", "cli.main"]
    front = ["--domain", "localhost"] if found("caddy") else []
    up = subprocess.run(
        [*command, "up", "--detach", "--data", str(data), *front],
        capture_output=True, text=True, env=clean(os.environ), timeout=180, check=False,
    )  # fmt: skip
    assert up.returncode == 0, up.stdout + up.stderr
    yield Product(data)
    subprocess.run([*command, "down", "--data", str(data)], env=clean(os.environ), timeout=120, check=False)


@pytest.fixture(autouse=True)
def _calm_provider(product: Product) -> Iterator[None]:
    yield
    product.wait_healthy()
    product.control("DELETE")
