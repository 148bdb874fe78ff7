"""Two APIs behind nothing, one worker of each kind, and a broker that can be taken from them."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from ops.local.environment import clean
from ops.local.instance import read_state
from tests.chaos.proxy import Faults
from tests.conftest import _await, _is_ready, _process
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
