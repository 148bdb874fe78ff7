"""The ClickHouse engine of the stack: a process of ours that serves chDB over HTTP."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from . import probes
from .program import Program, StackError
from .secret import kept_secret

USER = "app"
DATABASE = "structured_prompt"


class ClickHouse:
    name = "clickhouse"
    variable = "CLICKHOUSE_URL"

    def __init__(self, data: Path, port: int, environment: Mapping[str, str]) -> None:
        self._dir = data / "clickhouse"
        self._port = port
        self._environment = environment
        self._password_file = data / "secrets" / "clickhouse"
        self._password = kept_secret(self._password_file)

    @property
    def url(self) -> str:
        return f"http://{USER}:{self._password}@127.0.0.1:{self._port}/{DATABASE}"

    def prepare(self) -> None:
        if importlib.util.find_spec("chdb") is None:
            raise StackError("no ClickHouse engine: install the extra `structured-prompt[local]`")
        self._dir.mkdir(parents=True, exist_ok=True)

    def program(self) -> Program:
        options = ["--port", str(self._port), "--path", str(self._dir), "--password-file", str(self._password_file)]
        return Program(
            name=self.name,
            command=(sys.executable, "-m", "ops.local.clickhouse.server", *options),
            environment=self._environment,
            ready=probes.http(self._port, "/ping"),
            cwd=self._dir,
            port=self._port,
        )
