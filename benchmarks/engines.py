"""Embedded engines for one run: in a temporary directory, on free ports, gone afterwards."""

import asyncio
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined] # public, stubs lack it

from benchmarks.processes import Failed, Process, cpu_seconds
from ops.local.environment import read_env
from ops.local.instance import read_state

NAMES = ("kafka", "postgres", "redis", "clickhouse")


class Engines:
    """Kafka, PostgreSQL, Redis and ClickHouse, as `structured-prompt up` starts them."""

    def __enter__(self) -> "Engines":
        self._data = Path(tempfile.mkdtemp(prefix="bench-engines-"))
        self._data.chmod(0o755)  # PostgreSQL may run as another account
        self._process = Process("engines", ["ops.local.engines", "--data", str(self._data)])
        try:
            self._wait_ready()
        except BaseException:
            self._close()
            raise
        self._addresses = read_env(self._data)
        state = read_state(self._data)
        assert state is not None
        self._pids = {row.name: row.pid for row in state.processes if row.pid is not None}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    @property
    def kafka(self) -> str:
        return self._addresses["KAFKA_BOOTSTRAP_SERVERS"]

    def redis(self, number: int) -> str:
        return urlunsplit(urlsplit(self._addresses["REDIS_URL"])._replace(path=f"/{number}"))

    def clickhouse(self, database: str) -> str:
        return urlunsplit(urlsplit(self._addresses["CLICKHOUSE_URL"])._replace(path=f"/{database}"))

    def new_database(self, name: str, schema: str = "") -> str:
        """The URL of a new PostgreSQL database."""
        url = self._addresses["DATABASE_URL"]

        async def create() -> str:
            connection = await asyncpg.connect(url)
            await connection.execute(f'CREATE DATABASE "{name}"')
            await connection.close()
            own = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
            if schema:
                connection = await asyncpg.connect(own)
                await connection.execute(schema)
                await connection.close()
            return own

        return asyncio.run(create())

    def new_topics(self, names: Sequence[str], partitions: int = 12) -> None:
        admin = AdminClient({"bootstrap.servers": self.kafka})
        for created in admin.create_topics([NewTopic(name, partitions, 1) for name in names]).values():
            created.result()

    def cpu(self, name: str) -> float:
        """Seconds so far of an engine, children included."""
        return cpu_seconds(self._pids[name])

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            self._process.check()
            state = read_state(self._data)
            if state is not None and state.phase == "ready":
                return
            time.sleep(0.1)
        raise Failed(f"the engines do not come up:\n{self._process.output[-3000:]}")

    def _close(self) -> None:
        self._process.stop()
        shutil.rmtree(self._data, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])
