"""A stack that runs behind the fault proxy, and what may be asked of it and done to it from outside."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import asyncpg
import psutil

from ops.local.environment import clean, read_env
from ops.local.instance import read_state
from tests.chaos.proxy import Faults

ROOT = Path(__file__).parents[2]


class ReadError(RuntimeError):
    """The oracle could not read what it has to compare: an error, never a pass."""


class Running:
    """Started on entry, stopped on exit. Whoever asks goes around the proxy, except to Kafka."""

    def __init__(
        self, data: Path, workers: str = "3,3,1", apis: int = 2, variant: str | None = None,
        versions: Path | None = None,
    ) -> None:  # fmt: skip
        self.data = data
        self._words = ["--data", str(data), "--workers", workers, "--apis", str(apis)]
        self._words += ["--variant", variant] if variant else []
        self._words += ["--versions", str(versions)] if versions else []
        self._words += ["--set", "STRUCTURED_PROMPT_LOG_LEVEL=INFO"]

    def __enter__(self) -> Self:
        self.data.mkdir(parents=True, exist_ok=True)
        (self.data / "env").unlink(missing_ok=True)
        log = (self.data / "stack.log").open("wb")
        command = [sys.executable, "-m", "tests.chaos.stack", *self._words]
        self._process = subprocess.Popen(command, stdout=log, stderr=log, env=clean(os.environ), cwd=ROOT)
        try:
            self._await_ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self.env = read_env(self.data)
        self.faults = Faults(int(self.env["FAULTS_PORT"]))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(60)
        self._process.kill()
        self._process.wait()

    def _await_ready(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while not (self.data / "env").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the stack does not start: {(self.data / 'stack.log').read_text()[-2000:]}")
            time.sleep(0.1)

    # what runs

    def pid(self, name: str) -> int | None:
        """None while it is being restarted."""
        state = read_state(self.data)
        rows = state.processes if state else []
        return next((row.pid for row in rows if row.name == name), None)

    def wait_pid(self, name: str, seconds: float = 30) -> int:
        found = wait_for(lambda: self.pid(name), seconds)
        if found is None:
            raise RuntimeError(f"{name} is not running after {seconds:.0f} s")
        return found

    def signal(self, name: str, number: signal.Signals) -> int:
        """Gives its pid."""
        pid = self.wait_pid(name)
        os.kill(pid, number)
        return pid

    def running(self, name: str) -> bool:
        """Whether it serves, as its supervisor sees it."""
        state = read_state(self.data)
        return any(row.name == name and row.state == "running" for row in state.processes) if state else False

    def process(self, name: str) -> psutil.Process:
        return psutil.Process(self.wait_pid(name))

    def log(self, name: str) -> list[dict[str, Any]]:
        """The structured lines of a process's log."""
        path = self.data / "logs" / f"{name}.log"
        found = []
        for line in path.read_text(errors="replace").splitlines():
            with suppress(json.JSONDecodeError):
                # a process that was killed may have left something on its last line
                found.append(json.loads(line[max(0, line.find("{")) :]))
        return found

    # what it says

    def control(self, method: str = "GET", **body: Any) -> dict[str, Any]:
        """The simulated provider's control."""
        url = self.env["PROVIDER_URL"].removesuffix("/v1") + "/control"
        data = json.dumps(body).encode() if method == "POST" else None
        request = urllib.request.Request(url, data, {"content-type": "application/json"}, method=method)
        return dict(_read("the provider's bill", request))

    def clickhouse(self, query: str) -> list[dict[str, Any]]:
        parts = urlsplit(self.env["DIRECT_CLICKHOUSE_URL"])
        token = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
        url = f"http://{parts.hostname}:{parts.port}/?database={parts.path.strip('/')}"
        request = urllib.request.Request(url, f"{query} FORMAT JSON".encode(), {"Authorization": f"Basic {token}"})
        return list(_read("ClickHouse", request)["data"])

    def ledger(self, query: str, *values: Any) -> Sequence[Mapping[str, Any]]:
        """Rows of PostgreSQL."""

        async def ask() -> Sequence[Mapping[str, Any]]:
            connection = await asyncpg.connect(self.env["DIRECT_DATABASE_URL"], timeout=5)
            try:
                return await connection.fetch(query, *values, timeout=20)
            finally:
                await connection.close()

        return patiently("the ledger", lambda: asyncio.run(ask()))


def wait_for(probe: Callable[[], Any], seconds: float, every: float = 0.05) -> Any:
    """The first truthy answer of `probe`, None when none came in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if answer := probe():
            return answer
        time.sleep(every)
    return None


def patiently(what: str, ask: Callable[[], Any], seconds: float = 30) -> Any:
    """The answer, from something that a fault may just be restarting. Raises ReadError when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise ReadError(f"cannot read {what}: {error!r}") from error
            time.sleep(0.3)


def _read(what: str, request: urllib.request.Request) -> Any:
    def ask() -> Any:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read() or b"{}")

    return patiently(what, ask)
