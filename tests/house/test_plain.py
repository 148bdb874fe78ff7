"""What `pip install structured-prompt` brings is enough for every command, or a command says which extra is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    "DATABASE_URL": "postgresql://app:local@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
    "CLICKHOUSE_URL": "http://app:local@127.0.0.1:1/none",
    "STRUCTURED_PROMPT_KEY_PEPPER": "p" * 48,
}
SAYS = {
    "up --data {data}": (1, "install the extra `structured-prompt[local]`"),
    "status --data {data}": (1, "nothing runs in"),
    "down --data {data}": (0, "nothing runs in"),
    "doctor --data {data}": (1, "install the extra `structured-prompt[local]`"),
    "doctor --data {data} --use-env kafka,postgres,redis,clickhouse": (1, "check CLICKHOUSE_URL"),
    "results --use-env --since 1m": (1, "no broker answers"),
    "tenants list --use-env": (1, "check DATABASE_URL"),
}
NEEDING = {
    "connectors.google.bigquery",
    "connectors.google.protobuf",
    "connectors.telemetry.opentelemetry",
    "ops.local.clickhouse.engine",
    "ops.local.clickhouse.server",
    # run from a clone, by make
    "ops.smoke.edge",
    "ops.smoke.following",
    "ops.smoke.main",
    "ops.smoke.routes",
}
LOADS = """
import importlib, pkgutil
from tests.house import plain
plain.install()
for room in {rooms!r}:
    for found in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        if not found.name.endswith(".__main__") and ".migrations" not in found.name:
            try:
                importlib.import_module(found.name)
            except ModuleNotFoundError:
                print(found.name)
"""


def plain(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.house.plain", *words]
    environment = {"PATH": os.environ["PATH"], "COLUMNS": "240", **HERE}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("words", SAYS, ids=lambda words: words.replace("{data}", "DIR"))
def test_a_command_works_or_says_what_is_missing(words: str, tmp_path: Path) -> None:
    status, told = SAYS[words]
    done = plain(*words.format(data=tmp_path / "data").split())
    assert done.returncode == status, done.stderr
    assert told in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_only_what_serves_an_extra_asks_for_its_packages(rooms: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADS.format(rooms=rooms)], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == NEEDING
