"""Ten broken set-ups: `doctor` names what is wrong, and the command that mends it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from typer.testing import CliRunner

from cli.main import build
from connectors.catalog import utc_now
from connectors.postgres.migrate import Standing
from domain.settings import load
from ops.local import doctor_engines
from ops.local.doctor import PLACEHOLDERS
from ops.local.instance import ProcessState, StackState, created
from tests.conftest import with_path

FAKE = Path(__file__).with_name("fake_stack.py")
PEPPER = {"STRUCTURED_PROMPT_KEY_PEPPER": "for-this-test-only-0123456789abcdef"}


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, dict[str, str]]]:
    """The checks by name, of a run with these options and this environment."""

    def run(*options: str, data: Path = tmp_path, **environment: str) -> dict[str, dict[str, str]]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(build(), ["doctor", "--data", str(data), "--json", *options])
        checks = {check["name"]: check for check in json.loads(done.stdout)}
        fails = [check for check in checks.values() if check["verdict"] == "fail"]
        assert bool(fails) == (done.exit_code == 1)
        assert all(check["remedy"] for check in fails)
        return checks

    return run


def failed(check: dict[str, str]) -> tuple[str, str]:
    assert check["verdict"] == "fail", check
    return check["found"], check["remedy"]


def left(data: Path) -> None:
    rows = [ProcessState("redis", pid=os.getpid(), created=created(os.getpid()), state="running")]
    told = StackState(phase="ready", pid=2**22 + 1, processes=rows)
    (data / "state.json").write_text(json.dumps(asdict(told)))


def test_a_port_that_is_taken(doctor: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        found, remedy = failed(doctor("--port", str(port))[f"port {port}"])
    assert found == f"port {port} is taken by another program"
    assert "structured-prompt up" in remedy


def test_a_pid_of_a_supervisor_that_is_no_more(tmp_path: Path, doctor: Callable[..., Any]) -> None:
    left(tmp_path)
    found, remedy = failed(doctor()["stack"])
    assert f"whose pid {2**22 + 1} is gone, while redis still run" in found
    assert remedy.startswith(f"structured-prompt up --data {tmp_path}")


def test_a_disk_without_space(monkeypatch: pytest.MonkeyPatch, doctor: Callable[..., Any]) -> None:
    full = shutil.disk_usage("/")._replace(free=1 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _place: full)
    found, remedy = failed(doctor()["disk"])
    assert found.startswith("no space")
    assert "--data" in remedy


@pytest.mark.parametrize(
    ("family", "variable", "address"),
    [
        ("kafka", "KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9"),
        ("postgres", "DATABASE_URL", "postgresql://app:x@127.0.0.1:9/none"),
        ("redis", "REDIS_URL", "redis://127.0.0.1:9/0"),
        ("clickhouse", "CLICKHOUSE_URL", "http://app:x@127.0.0.1:9/none"),
    ],
)
def test_an_engine_that_is_down(family: str, variable: str, address: str, doctor: Callable[..., Any]) -> None:
    found, remedy = failed(doctor("--use-env", family, **{variable: address}, **PEPPER)[family])
    assert "answer" in found + remedy
    assert variable in remedy or "server" in remedy


@pytest.mark.integration
def test_a_database_that_was_not_migrated(database_url: str, doctor: Callable[..., Any]) -> None:
    empty = with_path(database_url, "postgres")
    found, remedy = failed(doctor("--use-env", "postgres", DATABASE_URL=empty, **PEPPER)["postgres"])
    assert found.startswith("the database is empty, this version needs 00")
    assert remedy == "structured-prompt migrate --use-env"
    assert doctor("--use-env", "postgres", DATABASE_URL=database_url, **PEPPER)["postgres"]["verdict"] == "ok"


@pytest.mark.integration
def test_a_clickhouse_that_was_not_migrated(clickhouse_url: str, doctor: Callable[..., Any]) -> None:
    found, remedy = failed(doctor("--use-env", "clickhouse", CLICKHOUSE_URL=clickhouse_url)["clickhouse"])
    assert "lacks" in found
    assert remedy == "structured-prompt migrate --use-env"


@pytest.mark.integration
async def test_topics_that_are_missing(engines: Any, topic_prefix: str) -> None:
    # a prefix is no matter of `up`, so it is asked as a production process would
    given = {"KAFKA_BOOTSTRAP_SERVERS": engines.kafka, "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix}
    settings = load(PLACEHOLDERS | PEPPER | given, str)
    (check,) = await doctor_engines.ask(settings, ["kafka"], "--use-env")
    found, remedy = failed(check.as_json())
    assert f"{topic_prefix}prompt.requests" in found
    assert remedy == "structured-prompt topics apply --use-env"


def test_a_setting_that_is_wrong(doctor: Callable[..., Any]) -> None:
    found, remedy = failed(
        doctor("--use-env", "kafka", KAFKA_BOOTSTRAP_SERVERS="x", KAFKA_SECURITY_PROTOCOL="TLS")["settings"]
    )
    assert "KAFKA_SECURITY_PROTOCOL" in found
    assert "docs/settings.md" in remedy


@pytest.mark.integration
@pytest.mark.parametrize("family", ["postgres", "redis", "clickhouse"])
def test_credentials_that_are_wrong(family: str, engines: Any, doctor: Callable[..., Any]) -> None:
    given = {"postgres": engines.database_url, "redis": engines.redis_url, "clickhouse": engines.clickhouse_url}
    names = {"postgres": "DATABASE_URL", "redis": "REDIS_URL", "clickhouse": "CLICKHOUSE_URL"}
    address = with_password(given[family], "not-the-password")
    found, remedy = failed(doctor("--use-env", family, **{names[family]: address}, **PEPPER)[family])
    assert names[family] in remedy
    assert "not-the-password" not in found + remedy


def with_password(url: str, password: str) -> str:
    parts = urlsplit(url)
    place = f"{parts.username or ''}:{password}@{parts.hostname}:{parts.port}"
    return urlunsplit(parts._replace(netloc=place))


def test_no_key_of_a_provider(doctor: Callable[..., Any]) -> None:
    found, remedy = failed(doctor("--use-env", "providers")["models"])
    assert found == "no model can be called, because no provider's key is set"
    assert remedy.startswith("export OPENAI_API_KEY=")
    assert doctor("--use-env", "providers", OPENAI_API_KEY="k")["models"]["verdict"] == "ok"


def test_a_stack_that_is_half_up(tmp_path: Path, doctor: Callable[..., Any]) -> None:
    command = [sys.executable, str(FAKE), str(tmp_path), "--never-ready"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not (tmp_path / "state.json").exists():
            time.sleep(0.05)
        found, remedy = failed(doctor()["stack"])
        assert found == "the stack is starting: worker-infer-1 not up yet"
        assert remedy == f"structured-prompt logs --data {tmp_path}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


async def test_a_clock_that_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Standing("0001", "0001", utc_now() - timedelta(minutes=2))
    check = doctor_engines._clock(found)
    assert check is not None
    assert "120 s apart" in check.found
    assert check.remedy.startswith("timedatectl set-ntp true")
