"""A door in memory for every test, and the API's own process for those that look at bytes and memory."""

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from ops.local.ports import is_free
from tests.api.door import Door
from tests.conftest import _await, _process


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    async with Door().opened() as door:
        yield door


class Served:
    """The API in a process of its own; a client has a second for a head or a body."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], key: str) -> None:
        self.port = port
        self.key = key
        self._process = psutil.Process(process.pid)

    def resident(self) -> int:
        return int(self._process.memory_info().rss)

    def worked(self) -> float:
        """Seconds of processor until now."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=15)

    def answer(self, *sent: bytes) -> bytes:
        """Everything that comes until the server ends the connection."""
        with self.connect() as connection:
            for part in sent:
                connection.sendall(part)
            return ended(connection)

    def post(self, body: bytes, *headers: str, path: str = "/v1/analyze") -> bytes:
        lines = [f"POST {path} HTTP/1.1", "Host: door", f"Authorization: Bearer {self.key}", *headers]
        if not any(line.lower().startswith("content-length") for line in headers):
            lines.append(f"Content-Length: {len(body)}")
        return self.answer("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)


def ended(connection: socket.socket) -> bytes:
    found = b""
    try:
        while more := connection.recv(65_536):
            found += more
    except ConnectionResetError:
        return found
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    port, log = free_port(), Path(tmp_path_factory.mktemp("served")) / "log"
    given = ["header_timeout_s=1", "body_timeout_s=1"]
    with _process([sys.executable, "-m", "tests.shield.server", str(port), *given], log) as process:
        _await(process, lambda: not is_free(port), log, seconds=60)
        yield Served(port, process, log.read_text().split()[0])
