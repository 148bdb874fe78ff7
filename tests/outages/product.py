"""The product behind the fault proxy, what is sent to it, and what must have come of it."""

import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import redis
from confluent_kafka import Producer

from domain.ledger.results import call_id
from ops.local.environment import clean
from ops.local.instance import read_state
from tests.chaos.proxy import Faults
from tests.chaos.stack import PROXIED
from tests.e2e.conftest import Product

OURS = ("api-", "worker-", "sink-")
MODES: dict[str, tuple[Any, ...]] = {"refused": ("refuse",), "black_holed": ("blackhole",), "slow": ("slow", 2.0)}


class Proxied(Product):
    """A product whose engines can be taken away."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.faults = Faults(int(self.env["FAULTS_PORT"]))

    def restarts(self) -> dict[str, int]:
        """How often each of our processes was started again, by name."""
        state = read_state(self.data)
        assert state is not None
        return {row.name: row.restarts for row in state.processes if row.name.startswith(OURS)}

    def pid(self, name: str) -> int:
        state = read_state(self.data)
        assert state is not None
        return next(row.pid or 0 for row in state.processes if row.name == name)

    def health(self, name: str) -> tuple[int, dict[str, Any]]:
        """Status and body of /healthz of one of our processes; 0 when it does not answer within 2 s."""
        state = read_state(self.data)
        assert state is not None
        port = next(row.metrics_port for row in state.processes if row.name == name)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=2) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, {}

    def wait_healthy(self, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while any(self.health(name)[0] != 200 for name in self.restarts()) or not self._engines_answer():
            assert time.monotonic() < deadline, f"not healthy after {seconds} s: {self.status()}"
            time.sleep(0.3)

    def _engines_answer(self) -> bool:
        rows = self.status()
        return all(rows[name]["health"] == "healthy" for name in PROXIED)

    def take_away(self, engine: str, way: str) -> None:
        """`way`: killed, refused, black_holed or slow (2 s each way)."""
        if way == "killed":
            self.kill(engine)
        else:
            mode, *seconds = MODES[way]
            self.faults.enter(engine, mode, *seconds)

    def bring_back(self, engine: str, way: str) -> None:
        """A killed engine is brought back by the supervisor."""
        if way in MODES:
            self.faults.enter(engine, "pass")

    def restore(self) -> None:
        for engine in PROXIED:
            self.faults.enter(engine, "pass")

    def watch(self, seconds: float) -> None:
        """Let the time pass; none of our processes may say meanwhile that a restart would help (rule S6)."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name in self.restarts():
                status, said = self.health(name)
                assert status in (0, 200), f"{name} is unhealthy: {said}"
            time.sleep(0.5)

    def wipe_redis(self) -> None:
        with redis.Redis.from_url(self.env["DIRECT_REDIS_URL"]) as client:
            client.flushall()

    def in_clickhouse(self, ids: list[str], seconds: float) -> int:
        """How many of `ids` have a row, once all have one or the time is over."""
        deadline = time.monotonic() + seconds
        listed = ", ".join(f"'{id}'" for id in ids)
        found = 0
        while found < len(ids) and time.monotonic() < deadline:
            with suppress(OSError):
                rows = self.clickhouse(f"SELECT toUInt32(count()) AS n FROM results FINAL WHERE id IN ({listed})")
                found = rows[0]["n"]
            time.sleep(0.3)
        return found

    async def ask_database(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """Around the proxy: what is true, whatever is away."""
        connection = await asyncpg.connect(self.env["DIRECT_DATABASE_URL"])
        try:
            return await connection.fetch(query, *arguments)
        finally:
            await connection.close()


@contextmanager
def started(data: Path, *options: str) -> Iterator[Proxied]:
    """The product behind the proxy in `data`, with the options of tests.chaos.stack."""
    log = data / "stack.log"
    data.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        command = [sys.executable, "-m", "tests.chaos.stack", "--data", str(data), *options]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=clean(os.environ))
    try:
        _await_ready(data, process, log)
        yield Proxied(data)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(60)
        process.kill()
        process.wait()


def _await_ready(data: Path, process: "subprocess.Popen[bytes]", log: Path, seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while (state := read_state(data)) is None or state.phase != "ready" or not (data / "env").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the stack does not start: {log.read_text()[-800:]}")
        time.sleep(0.1)


@dataclass(slots=True)
class Answer:
    """One HTTP answer: status (0: none), seconds it took, Retry-After; `at` is when it was asked, monotonic."""

    id: str
    status: int
    seconds: float
    retry_after: str | None
    at: float


@dataclass(slots=True)
class Sent:
    """What a load sent: ids that the broker acknowledged, and every HTTP answer."""

    acknowledged: set[str] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)

    @property
    def owed(self) -> list[str]:
        """Ids that must be answered: acknowledged by the broker, or 202."""
        return sorted(self.acknowledged | {answer.id for answer in self.answers if answer.status == 202})

    def between(self, begin: float, end: float) -> list[Answer]:
        return [answer for answer in self.answers if begin <= answer.at <= end]


class Load:
    """Publishes to prompt.requests and asks the API, `rate` each a second, while its block runs."""

    def __init__(self, product: Proxied, rate: float = 20.0, tenant: str = "demo", asks: bool = True) -> None:
        self.sent = Sent()
        self._product, self._rate, self._tenant = product, rate, tenant
        self._run = uuid.uuid4().hex[:8]
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._publish)]
        self._threads += [threading.Thread(target=self._ask, args=(number,)) for number in range(8 if asks else 0)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(90)

    def _publish(self) -> None:
        producer = Producer({
            "bootstrap.servers": self._product.env["KAFKA_BOOTSTRAP_SERVERS"], "acks": "all",
            "enable.idempotence": True, "reconnect.backoff.max.ms": 1000,
        })  # fmt: skip
        count = 0
        while not self._ended.wait(1 / self._rate):
            id = f"{self._run}-k{count}"
            producer.produce("prompt.requests", self._body(id), on_delivery=self._delivered(id))
            producer.poll(0)
            count += 1
        producer.flush(60)

    def _delivered(self, id: str) -> Any:
        return lambda error, _: self.sent.acknowledged.add(id) if error is None else None

    def _ask(self, number: int) -> None:
        count = 0
        while not self._ended.wait(8 / self._rate):
            self.sent.answers.append(self._post(f"{self._run}-h{number}-{count}"))
            count += 1

    def _post(self, id: str) -> Answer:
        began = time.monotonic()
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._product.env['API_KEY']}"}
        url = self._product.env["API_URL"] + "/v1/analyze/async"
        body = json.dumps({"id": id, "prompt": f"Parcel {id} is late."}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=15) as answer:
                return Answer(id, answer.status, time.monotonic() - began, None, began)
        except urllib.error.HTTPError as error:
            return Answer(id, error.code, time.monotonic() - began, error.headers["retry-after"], began)
        except OSError:
            return Answer(id, 0, time.monotonic() - began, None, began)

    def _body(self, id: str) -> bytes:
        return json.dumps({"id": id, "tenant": self._tenant, "prompt": f"Parcel {id} is late."}).encode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the ids that were owed. `calls` are the provider's own counts, by id."""

    lost: list[str]
    differing: list[str]
    statuses: dict[str, int]
    calls: dict[str, int]

    @property
    def repeated(self) -> int:
        """Calls beyond the first of each request."""
        return sum(count - 1 for count in self.calls.values() if count > 1)


def outcome_of(product: Proxied, sent: Sent, seconds: float = 60.0, tenant: str = "demo") -> Outcome:
    """Wait until everything owed is answered, or the time is over; compare with the provider's bill."""
    found = product.results(sent.owed, seconds)
    statuses: dict[str, int] = {}
    for rows in found.values():
        statuses[rows[0]["status"]] = statuses.get(rows[0]["status"], 0) + 1
    billed = product.control()["calls_by_request"]
    return Outcome(
        lost=[id for id in sent.owed if id not in found],
        differing=[id for id, rows in found.items() if len({row["_raw"] for row in rows}) > 1],
        statuses=statuses,
        calls={id: billed.get(call_id(tenant, id, 1), 0) for id in sent.owed},
    )
