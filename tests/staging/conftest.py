"""Caddy as staging runs it, before the API in memory: what a stranger sees, without an engine."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest

from ops.local.environment import clean
from ops.local.front import Front, plan_front
from ops.local.ports import Ports, is_free
from ops.local.program import answers
from ops.local.tools import found
from ops.smoke import edge
from tests.conftest import _await, _process
from tests.shield.conftest import free_port

ROOT = Path(__file__).parents[2]


class Staged:
    """The door of a deployment. `redirect_port` is where plain HTTP is."""

    def __init__(self, front: Front, redirect_port: int, key: str) -> None:
        self.url = front.url
        self.authority = str(front.authority)
        self.redirect_port = redirect_port
        self.key = key

    def client(self, http2: bool = True) -> httpx.Client:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, verify=edge.trusting(self.authority), http2=http2)


def caddy_or_skip() -> None:
    if found("caddy"):
        return
    reason = "caddy is not installed: make tools TOOLS=caddy, or apt-get install caddy"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def caddy_version() -> tuple[int, ...]:
    """Of the Caddy that is tried; one of `make tools` knows its version only from its go.mod."""
    told = subprocess.run([found("caddy") or "caddy", "version"], capture_output=True, text=True, check=False).stdout
    pinned = (ROOT / "ops/tools/caddy/go.mod").read_text()
    version = re.match(r"v?(\d+)\.(\d+)\.(\d+)", told) or re.search(r"caddy/v2 v(\d+)\.(\d+)\.(\d+)", pinned)
    assert version
    return tuple(int(part) for part in version.groups())


Fronted = Callable[[str], "Staged"]


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[Fronted]:
    """Caddy before whatever listens at an address, or before nobody."""
    caddy_or_skip()
    with ExitStack() as stack:

        def start(upstream: str) -> Staged:
            front = plan_front(tmp_path, Ports(tmp_path / "ports.json"), clean(os.environ), "localhost", 0)
            front.program.environment["UPSTREAM"] = upstream  # type: ignore[index]  # a dict of its own
            stack.enter_context(_caddy(front, tmp_path / "caddy.log"))
            return Staged(front, 0, "")

        yield start


@pytest.fixture(scope="session")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Staged]:
    caddy_or_skip()
    folder = Path(tmp_path_factory.mktemp("staged"))
    api, log = free_port(), folder / "api.log"
    front = plan_front(folder, Ports(folder / "ports.json"), clean(os.environ), "localhost", api)
    redirects = int(front.program.environment["HTTP_PORT"])
    with _process([sys.executable, "-m", "tests.shield.server", str(api)], log) as process:
        _await(process, lambda: not is_free(api), log, seconds=60)
        with _caddy(front, folder / "caddy.log"):
            yield Staged(front, redirects, log.read_text().split()[0])


@contextmanager
def _caddy(front: Front, log: Path) -> Iterator[None]:
    """Until its certificate can be trusted."""
    with log.open("wb") as output:
        environment = dict(front.program.environment)
        process = subprocess.Popen(front.program.command, env=environment, stdout=output, stderr=output)
    try:
        _await(process, lambda: asyncio.run(answers(front.program.ready)), log, seconds=60)
        yield
    finally:
        process.kill()
        process.wait()
