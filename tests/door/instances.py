"""API processes of a test's own, which start again at once: the supervisor's back-off would spare them most kills."""

import subprocess
import sys
from pathlib import Path

import httpx
import psutil

from ops.local.ports import Ports


class Instance:
    """One API beside those of the stack, with the same settings on ports of its own."""

    def __init__(self, name: str, data: Path, like: int) -> None:
        """`like` is the pid of an API of the stack."""
        ports = Ports(data / "own-ports.json")
        port, metrics = ports.of(name), ports.of(f"{name}-metrics")
        own = {"STRUCTURED_PROMPT_API_PORT": str(port), "STRUCTURED_PROMPT_METRICS_PORT": str(metrics)}
        self.url = f"http://127.0.0.1:{port}"
        self._environment = psutil.Process(like).environ() | own
        self._log = data / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cli.main", "api"], stdout=log, stderr=log, env=self._environment
            )

    def kill(self) -> None:
        """SIGKILL, and the process that follows it."""
        self.stop()
        self.start()

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    async def serves(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.url}/healthz")).status_code == 200
        except httpx.TransportError:
            return False
