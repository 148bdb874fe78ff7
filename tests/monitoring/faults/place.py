"""Lines of their own on the engines of a stack, and a real Prometheus that looks at every process of them."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import yaml

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import apply
from connectors.postgres.migrate import upgrade
from connectors.postgres.pool import Pool
from ops.local.environment import read_env
from ops.local.instance import ProcessState
from ops.local.monitoring import HOST, OPS, configuration, targets
from tests.conftest import Engines, new_database, with_path
from tests.line.processes import Processes, Worker, processes, until
from tests.line.test_takeover import free_port
from tests.monitoring.faults.faster import copies, hasten
from tests.monitoring.faults.rows import Rows

CLI = ("-m", "cli.main")
RULES = OPS / "prometheus" / "rules"
SECONDS = 1_200
"""What has not fired then does not."""


@contextmanager
def program(words: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    with log.open("wb") as output:
        process = subprocess.Popen(words, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@dataclass
class Line:
    """`name` is of its requests; `started` what Prometheus is told of."""

    name: str
    of: Processes
    started: list[ProcessState]
    stop: threading.Event = field(default_factory=threading.Event)

    def start(self, name: str, *words: str, **environ: str) -> Worker:
        port, log = free_port(), self.of.directory / f"{name}-{len(self.of.workers)}.log"
        worker = self._run(port, log, words, environ)
        until(worker.is_ready, 180, log.read_text)
        self.started.append(ProcessState(name, metrics_port=port))
        return worker

    def again(self, worker: Worker, *words: str, program: tuple[str, ...] = CLI) -> Worker:
        """On the same port: Prometheus sees it start anew."""
        worker.process.kill()
        worker.process.wait()
        return self._run(worker.port, worker.log, words, {}, program)

    def supervise(self, worker: Worker, *words: str) -> None:
        """It is started again when it ends, as whoever runs it in production does."""

        def work() -> None:
            found = worker
            while not self.stop.wait(1):
                if found.process.poll() is not None:
                    found = self.again(found, *words)

        threading.Thread(target=work, daemon=True).start()

    def _run(
        self, port: int, log: Path, words: tuple[str, ...], environ: dict[str, str],
        program: tuple[str, ...] = CLI,
    ) -> Worker:  # fmt: skip
        own = self.of.environ | {"STRUCTURED_PROMPT_METRICS_PORT": str(port)} | environ
        with log.open("ab") as output:
            command = [sys.executable, *program, *words]
            process = subprocess.Popen(command, env=own, stdout=output, stderr=output)
        worker = Worker(process, port, log)
        self.of.workers.append(worker)
        return worker

    def ask(self, count: int, prompt: str = "What is it?", **more: Any) -> list[str]:
        """The ids; no two prompts are the same."""
        at = time.monotonic_ns()
        ids = [f"{self.name}-{at}-{n}" for n in range(count)]
        self.of.publish([{"id": id, "prompt": f"{id} {prompt}", **more} for id in ids])
        return ids

    def keep_asking(self, a_second: int, prompt: str = "What is it?", **more: Any) -> None:
        def work() -> None:
            while not self.stop.wait(1):
                self.ask(a_second, prompt, **more)

        threading.Thread(target=work, daemon=True).start()

    def execute(self, statement: str) -> None:
        """In a transaction of its own."""

        async def work(pool: Pool) -> None:
            await pool.fetch(statement)

        self.of._ask(work)

    def waiting(self) -> int:
        """How many requests wait for their time."""

        async def count(pool: Pool) -> int:
            return int((await pool.fetch("SELECT count(*) AS n FROM waiting"))[0]["n"])

        return self.of._ask(count)

    def command(self, *words: str) -> str:
        """What it prints. Raises AssertionError where it fails."""
        environ = self.of.environ | {"STRUCTURED_PROMPT_METRICS_PORT": "0"}
        line = [sys.executable, "-m", "cli.main", *words, "--use-env"]
        done = subprocess.run(line, env=environ, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode} {(done.stdout + done.stderr)[-800:]}"
        return done.stdout

    def hold(self, statement: str) -> Callable[[], None]:
        """A transaction that keeps the locks of its statement until what is returned is called."""
        locked, let_go = threading.Event(), threading.Event()

        async def work() -> None:
            connection = await asyncpg.connect(self.of.settings.database_url.get_secret_value())
            async with connection.transaction():
                await connection.execute(statement)
                locked.set()
                while not let_go.is_set():
                    await asyncio.sleep(0.2)
            await connection.close()

        threading.Thread(target=lambda: asyncio.run(work()), daemon=True).start()
        assert locked.wait(60), statement
        return let_go.set


@dataclass
class Place:
    """`scrapes` are jobs beside those of the processes; all durations of the rules are divided by `faster`."""

    directory: Path
    engines: Engines
    stack: ExitStack
    faster: int = 1
    started: list[ProcessState] = field(default_factory=list)
    scrapes: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def line(self, name: str) -> Line:
        """With a database, topics, a Redis database and a simulated provider of its own."""
        directory = self.directory / name
        directory.mkdir()
        database = self.stack.enter_context(new_database(self.engines.database_url, "template1"))
        upgrade(database)
        provider = free_port()
        words = [sys.executable, "-m", "ops.local.provider", "--host", HOST, "--port", str(provider)]
        self.stack.enter_context(program(words, directory / "provider.log"))
        until(lambda: listens(provider), 60)
        own = Engines(
            self.engines.kafka, database, self.engines.redis_url, self.engines.clickhouse_url,
            f"http://{HOST}:{provider}/v1",
        )  # fmt: skip
        redis = with_path(self.engines.redis_url, str(self._redis()))
        of = self.stack.enter_context(processes(own, database, redis, f"faults-{name}-{os.getpid()}.", directory))
        line = Line(name, of, self.started)
        self.stack.callback(line.stop.set)  # nobody asks, or starts again, what is ended
        return line

    def clickhouse(self, line: Line) -> Rows:
        """An empty database, with its tables."""
        name = f"faults_{line.name}_{os.getpid()}"
        all_of_it, own = Rows(self.engines.clickhouse_url), Rows(with_path(self.engines.clickhouse_url, name))

        async def make() -> None:
            async with ClickHouse(own.url) as clickhouse:
                await apply(clickhouse)

        all_of_it.execute(f"CREATE DATABASE {name}")
        asyncio.run(make())
        self.stack.callback(lambda: all_of_it.execute(f"DROP DATABASE {name}"))
        return own

    def _redis(self) -> int:
        import redis

        with redis.Redis.from_url(self.engines.redis_url) as client:
            return 1 + int(client.incr("tests:database")) % 511

    def watch(self) -> None:
        """Prometheus, with the rules of production, until the end."""
        port = free_port()
        folder = self.directory / "prometheus"
        folder.mkdir()
        config = configuration(f"{HOST}:1", f"{HOST}:{port}")
        jobs = config["scrape_configs"]
        assert isinstance(jobs, list)
        jobs += self.scrapes
        config["rule_files"] = [str(path) for path in copies(RULES, folder, self.faster)]
        hasten(config, self.faster)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        (folder / "targets.json").write_text(json.dumps(targets(self.started)))
        words = [
            "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={HOST}:{port}",
        ]  # fmt: skip
        self.stack.enter_context(program(words, folder / "log"))
        self.url = f"http://{HOST}:{port}"
        until(lambda: self.firing() is not None, 60)

    def firing(self) -> list[dict[str, str]] | None:
        """The labels of each alert that fires; None while nobody answers."""
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/api/v1/alerts", timeout=5) as answer:
            alerts = json.loads(answer.read())["data"]["alerts"]
            return [alert["labels"] for alert in alerts if alert["state"] == "firing"]
        return None


@contextmanager
def placed(stack_of: Path, directory: Path, faster: int) -> Iterator[Place]:
    """On the engines of the stack that runs in `stack_of`."""
    values = read_env(stack_of)
    kafka, database = values["KAFKA_BOOTSTRAP_SERVERS"], values["DATABASE_URL"]
    with ExitStack() as stack:
        engines = Engines(kafka, database, values["REDIS_URL"], values["CLICKHOUSE_URL"], "")
        yield Place(directory, engines, stack, faster)


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def patiently(work: Callable[[], None]) -> None:
    threading.Thread(target=work, daemon=True).start()
