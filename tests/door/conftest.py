"""Two APIs behind nothing, one worker of each kind, and a broker that can be taken from them."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import httpx
import pytest

from ops.local.environment import clean
from ops.local.instance import read_state
from tests.chaos.proxy import Faults
from tests.conftest import _await, _is_ready, _process
from tests.door.instances import Instance
from tests.e2e.conftest import Product


@dataclass
class Door:
    """The product, its proxy, and its APIs as a client sees them."""

    product: Product
    faults: Faults
    urls: list[str]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.product.env['API_KEY']}"}

    def client(self, at_once: int = 200) -> httpx.AsyncClient:
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        return httpx.AsyncClient(headers=self.headers, timeout=10, limits=limits)

    def session(self) -> aiohttp.ClientSession:
        """For a load: a third of the other client's CPU a request."""
        patience = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=10)
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=400), headers=self.headers, timeout=patience)

    def pid(self, name: str) -> int | None:
        """Of a process that runs."""
        state = read_state(self.product.data)
        rows = state.processes if state is not None else []
        return next((row.pid for row in rows if row.name == name and row.state == "running"), None)

    async def kill(self, name: str) -> None:
        """SIGKILL, once it runs."""
        while (pid := self.pid(name)) is None:
            await asyncio.sleep(0.02)
        os.kill(pid, signal.SIGKILL)

    async def row(self, statement: str, *arguments: Any) -> Any:
        """One value out of PostgreSQL, beside the proxy."""
        connection = await asyncpg.connect(self.product.env["DIRECT_DATABASE_URL"])
        try:
            return await connection.fetchval(statement, *arguments)
        finally:
            await connection.close()

    @contextmanager
    def instances(self, count: int = 2) -> Iterator[list[Instance]]:
        """APIs that a test may kill as often as it likes."""
        like = self.pid("api-2")  # the first is killed by tests, and may be on its way back
        assert like is not None
        found = [Instance(f"own-api-{n}", self.product.data, like) for n in range(count)]
        try:
            for one in found:
                one.start()
            yield found
        finally:
            for one in found:
                one.stop()


async def persistent(client: aiohttp.ClientSession, urls: list[str], body: dict[str, Any]) -> int:
    """A client that wants its 202: at a broken connection or a 503 it goes to the other instance.

    How often it had to ask.
    """
    asked, urls = 0, random.sample(urls, len(urls))
    while True:
        asked += 1
        try:
            async with client.post(urls[asked % len(urls)] + "/v1/analyze/async", json=body) as answer:
                if answer.status == 202:
                    return asked
                assert answer.status == 503, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            await asyncio.sleep(0.1)
        else:
            await asyncio.sleep(0.3)
        assert asked < 600, f"no instance answers {body['id']}"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    data: Path = tmp_path_factory.mktemp("door")
    log = data / "supervisor.log"
    command = [sys.executable, "-m", "tests.chaos.stack", "--data", str(data), "--workers", "1,1,1", "--apis", "2"]
    with _process(command, log) as process:
        _await(process, lambda: _is_ready(data), log, seconds=150)
        product = Product(data)
        yield Door(product, Faults(int(product.env["FAULTS_PORT"])), product.env["API_URLS"].split(","))
        subprocess.run(
            [sys.executable, "-m", "cli.main", "down", "--data", str(data)],
            env=clean(os.environ), capture_output=True, timeout=120, check=False,
        )  # fmt: skip
