"""The lines under measurement: ours as production starts it, the prototype beside it, plain Python with LiteLLM."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from benchmarks.engines import Engines, free_port
from benchmarks.processes import Process, get, run
from benchmarks.prototype import outside as prototype
from benchmarks.traffic import TENANTS, Client, Request, requests

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

    @property
    def _root(self) -> str:
        return self.url.removesuffix("/v1")


@dataclass
class Line:
    """Processes between a topic of requests and one of results."""

    name: str
    engines: Engines
    stub: Stub
    processes: list[Process] = field(default_factory=list)

    requests_topic = ""
    results_topic = ""

    def __enter__(self) -> "Line":
        try:
            self.start()
            self.client = Client(self.engines.kafka, self.requests_topic, self.results_topic)
            self.client.run(requests(500, "warm up"))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.client.close()
        self.close()

    def start(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        for process in reversed(self.processes):
            process.stop()

    def burst(self, batch: Sequence[Request]) -> Run:
        """All at once. Raises Lost or Failed."""
        before = self._cpu()
        seconds = self.client.run(batch)
        after = self._cpu()
        cpu = {name: (after[name] - before[name]) / len(batch) * 1e6 for name in before}
        return Run(len(batch) / seconds, cpu)

    def one_by_one(self, batch: Sequence[Request], per_second: float = 50) -> list[float]:
        """Milliseconds from produce to result, each after the one before, at most so many a second; sorted."""
        taken = []
        at = time.perf_counter()
        for request in batch:
            at = max(at + 1 / per_second, time.perf_counter())
            time.sleep(max(0.0, at - time.perf_counter()))
            taken.append(self.client.one(request)[0] * 1000)
        return sorted(taken)

    def _cpu(self) -> dict[str, float]:
        own = {process.name: process.cpu for process in self.processes}
        engines = {name: self.engines.cpu(name) for name in ENGINES}
        return {**own, **engines, "stub": self.stub.process.cpu, "client": time.process_time()}


class Prototype(Line):
    """benchmarks.prototype: the yardstick."""

    requests_topic = prototype.REQUESTS
    results_topic = prototype.RESULTS
    slots = 2000

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
    slots = 2000
    profile: str | None = None
    report = Path("/tmp/structured-prompt-profile.txt")  # noqa: S108 - asked for by name on the command line

    def start(self) -> None:
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
        }
        run(["cli.main", "migrate"], self.environment)
        run(["cli.main", "topics", "apply"], self.environment)
        for number in range(TENANTS):
            run(["cli.main", "tenants", "create", f"t{number}"], self.environment)
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

    def remove(self, name: str) -> None:
        """Stop a process that was added."""
        process = self.process(name)
        process.stop()
        self.processes.remove(process)

    def process(self, name: str) -> Process:
        return next(process for process in self.processes if process.name == name)

    def new_key(self) -> str:
        """An API key of tenant t0."""
        created = run(["cli.main", "keys", "create", "--tenant", "t0", "--name", "bench", "--json"], self.environment)
        return str(json.loads(created)["key"])


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
