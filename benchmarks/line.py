"""The lines under measurement: ours as production starts it, the prototype beside it, plain Python with LiteLLM."""

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.engines import Engines, free_port
from benchmarks.processes import Failed, Process, get, run
from benchmarks.prototype import outside as prototype
from benchmarks.traffic import TENANTS, Client, Lost, Request, requests
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import connect
from domain.accounts.model import Tenant

DATABASE = "structured_prompt"
PEPPER = "a pepper of the benchmarks, and of nothing else"
ENGINES = ("kafka", "postgres", "redis")


@dataclass(frozen=True, slots=True)
class Run:
    """One burst through a line: how fast, and microseconds of CPU an event for each process and engine."""

    per_second: float
    cpu_us: Mapping[str, float]


class Stub:
    """benchmarks.stub in a process of its own, one for all lines."""

    def __init__(self) -> None:
        self.process = Process("stub", ["benchmarks.stub"])
        self.url = self.process.wait_line("stub ready").split()[-1]

    def reset(self, latency_ms: float) -> None:
        get(f"{self._root}/reset?latency_ms={latency_ms}")

    @property
    def calls(self) -> int:
        return int(json.loads(get(f"{self._root}/count"))["calls"])

    def expect(self, calls: int) -> None:
        """Raises Failed where fewer were made: then a cache answered, and the figure is of something else."""
        if (made := self.calls) < calls:
            raise Failed(f"the provider was asked {calls - made} times too few: a cache answered what was measured")

    @property
    def _root(self) -> str:
        return self.url.removesuffix("/v1")


@dataclass(kw_only=True)
class _Choices:
    """What a benchmark may vary. `profile` names a stage of ours that writes where its time goes to `report`."""

    slots: int = 2000
    settings: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    report: Path = Path("profile.txt")


@dataclass
class Line(_Choices, ABC):
    """Processes between a topic of requests and one of results."""

    name: str
    engines: Engines
    stub: Stub
    processes: list[Process] = field(default_factory=list)

    requests_topic = ""
    results_topic = ""

    def __enter__(self) -> Self:
        try:
            self.start()
            self.client = Client(self.engines.kafka, self.requests_topic, self.results_topic)
            self._through(requests(TENANTS, "first"))
            time.sleep(0.5)  # a Redis that was just begun grants no burst (rule D2), and nobody here wakes what waits
            self._through(requests(500, "warm up"))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self.close()

    def process(self, name: str) -> Process:
        return next(process for process in self.processes if process.name == name)

    @abstractmethod
    def start(self) -> None:
        """Start the processes of this line."""

    def close(self) -> None:
        for process in reversed(self.processes):
            process.stop()

    def burst(self, batch: Sequence[Request], cached: bool = False) -> Run:
        """All at once. Raises Lost or Failed; Failed too when the provider was not asked, unless `cached`."""
        before, calls = self._cpu(), self.stub.calls
        seconds = self._through(batch)
        after = self._cpu()
        if not cached:
            self.stub.expect(calls + len(batch))
        cpu = {name: (after[name] - before[name]) / len(batch) * 1e6 for name in before}
        return Run(len(batch) / seconds, cpu)

    def one_by_one(self, batch: Sequence[Request], per_second: float = 50) -> list[float]:
        """Milliseconds from produce to result, each after the one before, at most so many a second; sorted."""
        taken = []
        calls = self.stub.calls
        at = time.perf_counter()
        for request in batch:
            at = max(at + 1 / per_second, time.perf_counter())
            time.sleep(max(0.0, at - time.perf_counter()))
            taken.append(self.client.one(request)[0] * 1000)
        self.stub.expect(calls + len(batch))
        return sorted(taken)

    def _through(self, batch: Sequence[Request]) -> float:
        try:
            return self.client.run(batch)
        except Lost as error:
            said = "\n".join(f"--- {process.name}\n{process.output[-1500:]}" for process in self.processes)
            raise Lost(f"{self.name}: {error}\n{said}") from None

    def _cpu(self) -> dict[str, float]:
        own = {process.name: process.cpu for process in self.processes}
        engines = {name: self.engines.cpu(name) for name in ENGINES}
        return {**own, **engines, "stub": self.stub.process.cpu, "client": time.process_time()}


class Prototype(Line):
    """benchmarks.prototype: the yardstick."""

    requests_topic = prototype.REQUESTS
    results_topic = prototype.RESULTS

    def start(self) -> None:
        self.engines.new_topics(prototype.TOPICS)
        database = self.engines.new_database("prototype", prototype.SCHEMA)
        words = ["--kafka", self.engines.kafka, "--database", database, "--redis", self.engines.redis(1)]
        words += ["--provider", self.stub.url, "--slots", str(self.slots)]
        for stage in ("intake", "infer"):
            self.processes.append(Process(stage, ["benchmarks.prototype", stage, *words]))


class Ours(Line):
    """intake and infer as production starts them; migrated, with topics and tenants. More processes by `add`."""

    requests_topic = "prompt.requests"
    results_topic = "prompt.results"

    def prepare(self) -> None:
        """Databases, topics and tenants; no process yet."""
        self.environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.engines.kafka,
            "DATABASE_URL": self.engines.new_database("line"),
            "REDIS_URL": self.engines.redis(0),
            "CLICKHOUSE_URL": self.engines.clickhouse(DATABASE),
            "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
            "STRUCTURED_PROMPT_KEY_PEPPER": PEPPER,
            "STRUCTURED_PROMPT_SIMULATED_PROVIDER_URL": self.stub.url,
            # the standard lane may fill nine tenths of the slots
            "STRUCTURED_PROMPT_INFER_SLOTS": str(self.slots * 10 // 9 + 1),
            **self.settings,
        }
        run(["cli.main", "migrate"], self.environment)
        run(["cli.main", "topics", "apply"], self.environment)
        asyncio.run(_create_tenants(self.environment["DATABASE_URL"]))

    def start(self) -> None:
        self.prepare()
        for stage in ("intake", "infer"):
            self.add(stage, ["worker", "--stage", stage])

    def add(self, name: str, words: Sequence[str], more: Mapping[str, str] | None = None) -> int:
        """Start another process of ours and wait until it is ready; the port of its metrics."""
        port = free_port()
        environment = {**self.environment, "STRUCTURED_PROMPT_METRICS_PORT": str(port), **(more or {})}
        program = ["benchmarks.profiled", str(self.report)] if name == self.profile else ["cli.main"]
        process = Process(name, [*program, *words], environment)
        self.processes.append(process)
        process.wait_http(f"http://127.0.0.1:{port}/readyz")
        return port

    def add_api(self) -> str:
        """Start the API; its URL."""
        port = free_port()
        self.add("api", ["api"], {"STRUCTURED_PROMPT_API_HOST": "127.0.0.1", "STRUCTURED_PROMPT_API_PORT": str(port)})
        return f"http://127.0.0.1:{port}"

    def remove(self, name: str) -> None:
        """Stop a process that was added."""
        process = self.process(name)
        process.stop()
        self.processes.remove(process)

    def new_key(self) -> str:
        """An API key of tenant t0."""
        created = run(["cli.main", "keys", "create", "--tenant", "t0", "--name", "bench", "--json"], self.environment)
        return str(json.loads(created)["key"])


async def _create_tenants(database: str) -> None:
    pool = await connect(database, 1)
    for number in range(TENANTS):
        await PostgresAccounts(pool).create_tenant(Tenant(f"t{number}"))
    await pool.close()


class PlainPython(Line):
    """benchmarks.plain: aiokafka and LiteLLM, nothing durable but the topics."""

    requests_topic = "plain.requests"
    results_topic = "plain.results"

    def start(self) -> None:
        self.engines.new_topics([self.requests_topic, self.results_topic])
        words = [self.engines.kafka, self.requests_topic, self.results_topic, self.stub.url]
        process = Process("plain", ["benchmarks.plain", *words])
        self.processes.append(process)
        process.wait_line("plain ready", 120)
