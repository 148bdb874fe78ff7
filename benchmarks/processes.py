"""Processes under measurement: started with an environment of their own, their CPU and memory read by psutil."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent


class Failed(RuntimeError):
    """A process did not come up, or died; the message ends with the last lines it wrote."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and its children so far."""
    process = psutil.Process(pid)
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        # what ended and was waited for, such as PostgreSQL's autovacuum workers, is counted at its parent
        total += times.user + times.system + times.children_user + times.children_system
    return total


class Process:
    """A program, of ours `python -m MODULE …`, until `stop`. What it writes goes to a file."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        interpreter: Sequence[str] = (sys.executable, "-m"),
    ) -> None:
        self.name = name
        self._log = Path(tempfile.mkstemp(prefix=f"bench-{name}-", suffix=".log")[1])
        with self._log.open("wb") as log:
            self._popen = subprocess.Popen(
                [*interpreter, *words],
                cwd=ROOT,
                env={**plain_environment(), **(environment or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def cpu(self) -> float:
        """Seconds so far."""
        self.check()
        return cpu_seconds(self.pid)

    @property
    def rss_mb(self) -> float:
        process = psutil.Process(self.pid)
        return float(sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))) / 2**20

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def check(self) -> None:
        """Raises Failed when it is dead."""
        if self._popen.poll() is not None:
            raise Failed(f"{self.name} ended with {self._popen.returncode}:\n{self.output[-3000:]}")

    def wait_http(self, url: str, seconds: float = 60) -> None:
        """Until `url` answers 200. Raises Failed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            if answers(url):
                return
            time.sleep(0.1)
        raise Failed(f"{self.name} does not answer at {url}:\n{self.output[-3000:]}")

    def wait_port(self, port: int, seconds: float = 60) -> None:
        """Until somebody listens there. Raises Failed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    return
            time.sleep(0.1)
        raise Failed(f"{self.name} does not listen on {port}:\n{self.output[-3000:]}")

    def wait_line(self, text: str, seconds: float = 60) -> str:
        """The first line of its output that contains `text`. Raises Failed."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check()
            found = [line for line in self.output.splitlines() if text in line]
            if found:
                return found[0]
            time.sleep(0.05)
        raise Failed(f"{self.name} never wrote {text!r}:\n{self.output[-3000:]}")

    def stop(self, seconds: float = 40) -> None:
        """SIGTERM, and SIGKILL after `seconds`."""
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(seconds)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        self._log.unlink(missing_ok=True)


def run(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """The standard output of `python -m …`. Raises Failed."""
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env={**plain_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return done.stdout


def plain_environment() -> dict[str, str]:
    """Nothing of the caller's shell that could point a process at somebody's database or spend money."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR", "USER") if name in os.environ}


def get(url: str, seconds: float = 5) -> bytes:
    with urllib.request.urlopen(url, timeout=seconds) as response:  # noqa: S310 - our own addresses
        return bytes(response.read())


def answers(url: str) -> bool:
    try:
        get(url, 1)
    except (urllib.error.URLError, OSError):
        return False
    return True
