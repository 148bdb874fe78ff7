"""Broken set-ups: `doctor` names what is wrong, and the command that mends it; some are run."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from typer.testing import CliRunner

from cli.main import build
from connectors.catalog import utc_now
from connectors.postgres.migrate import Standing
from domain.settings import load
from ops.local import doctor_engines, doctor_stack
from ops.local.doctor import PLACEHOLDERS
from ops.local.instance import ProcessState, StackState, created, read_state
from ops.local.status import Row
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


def known(data: Path) -> list[str]:
    state = read_state(data)
    return [row.name for row in state.processes] if state else []


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
    assert "answer" in found
    assert "127.0.0.1:9" in found, "the address that was tried"
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


@pytest.fixture
def brokers(engines: Any, topic_prefix: str) -> Iterator[dict[str, str]]:
    """Where topics of the test's own are, as a production process names it: a prefix is no matter of `up`."""
    yield {
        "KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix,
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
    }
    client = AdminClient({"bootstrap.servers": engines.kafka})
    mine = [name for name in client.list_topics(timeout=10).topics if name.startswith(topic_prefix)]
    for deleted in client.delete_topics(mine).values() if mine else ():
        deleted.result(10)


async def of_kafka(brokers: dict[str, str]) -> dict[str, str]:
    (check,) = await doctor_engines.ask(load(PLACEHOLDERS | PEPPER | brokers, str), ["kafka"], "--use-env")
    return check.as_json()


def mend(remedy: str, monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """Run the command of a remedy, as it stands there."""
    for name, value in (PLACEHOLDERS | PEPPER | environment).items():
        monkeypatch.setenv(name, value)
    program, *arguments = shlex.split(remedy)
    assert program == "structured-prompt"
    done = CliRunner().invoke(build(), arguments)
    assert done.exit_code == 0, done.output


@pytest.mark.integration
async def test_topics_that_are_missing_or_lack_partitions(
    brokers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = brokers["STRUCTURED_PROMPT_TOPIC_PREFIX"]
    thin = NewTopic(f"{prefix}prompt.events", 1, 1)
    client = AdminClient({"bootstrap.servers": brokers["KAFKA_BOOTSTRAP_SERVERS"]})
    client.create_topics([thin])[thin.topic].result(10)
    found, remedy = failed(await of_kafka(brokers))
    assert f"{prefix}prompt.requests" in found
    assert remedy == "structured-prompt topics apply --use-env"
    mend(remedy, monkeypatch, **brokers)
    check = await of_kafka(brokers)
    assert (check["verdict"], check["remedy"]) == ("warn", "structured-prompt topics apply --grow --use-env")
    assert check["found"].endswith(f"{prefix}prompt.events has 1 of 12")
    mend(check["remedy"], monkeypatch, **brokers)
    assert (await of_kafka(brokers))["verdict"] == "ok"


def test_a_broker_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    arguments = ["doctor", "--data", str(tmp_path), "--use-env", "kafka"]
    program = f"from cli.main import build; build()({arguments!r})"
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert "no broker answers" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.integration
def test_nobody_may_ask(doctor: Callable[..., Any], database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def tenants() -> dict[str, str]:
        check: dict[str, str] = doctor("--use-env", "postgres", DATABASE_URL=database_url, **PEPPER)["tenants"]
        return check

    found, remedy = failed(tenants())
    assert found.startswith("no tenant exists")
    mend(remedy, monkeypatch, DATABASE_URL=database_url)
    check = tenants()
    assert (check["verdict"], check["found"]) == ("warn", "no tenant has an API key, so that HTTP refuses everybody")
    mend(check["remedy"], monkeypatch, DATABASE_URL=database_url)
    assert tenants()["verdict"] == "ok"


def test_what_others_run_needs_no_parts_here(doctor: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)  # as in the image
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    parts = {"Java runtime", "Redis", "PostgreSQL", "ClickHouse engine"}
    engines = {
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9", "DATABASE_URL": "postgresql://app:x@127.0.0.1:9/none",
        "REDIS_URL": "redis://127.0.0.1:9/0", "CLICKHOUSE_URL": "http://app:x@127.0.0.1:9/none",
    }  # fmt: skip
    assert parts <= {name for name, check in doctor().items() if check["verdict"] == "fail"}
    assert not parts & doctor("--use-env", "kafka,postgres,redis,clickhouse", **engines, **PEPPER).keys()


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


CATALOGUE = """
price_version: "2026-11"
providers:
  near: {{base_url: "{url}", key_env: NEAR_API_KEY}}
models:
  - {{provider: near, model: small, price: {{input: 0.15, output: 0.60}}}}
aliases: {{fast: [near/small], smart: [near/small]}}
"""


@pytest.mark.parametrize(("status", "verdict"), [(200, "ok"), (404, "ok"), (401, "fail"), (403, "fail")])
def test_a_key_that_the_provider_refuses(status: int, verdict: str, tmp_path: Path, doctor: Callable[..., Any]) -> None:
    class Provider(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["authorization"]))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    asked: list[tuple[str, str]] = []
    models = tmp_path / "models.yaml"
    with HTTPServer(("127.0.0.1", 0), Provider) as server:
        models.write_text(CATALOGUE.format(url=f"http://127.0.0.1:{server.server_port}/v1"))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        checks = doctor("--use-env", "providers", STRUCTURED_PROMPT_MODELS=str(models), NEAR_API_KEY="a-key")
        server.shutdown()
    assert checks["models"]["verdict"] == "ok"
    assert asked == [("/v1/models", "Bearer a-key")]
    if verdict == "fail":
        found, remedy = failed(checks["near"])
        assert found == f"near refuses its key ({status})"
        assert f"key_env of near in {models}" in remedy
        assert "a-key" not in found + remedy
    assert ("near" in checks) == (verdict == "fail")


def test_a_provider_that_does_not_answer_stops_nobody(tmp_path: Path, doctor: Callable[..., Any]) -> None:
    models = tmp_path / "models.yaml"
    models.write_text(CATALOGUE.format(url="http://127.0.0.1:9/v1"))
    check = doctor("--use-env", "providers", STRUCTURED_PROMPT_MODELS=str(models), NEAR_API_KEY="a-key")["near"]
    assert (check["verdict"], check["found"][:20]) == ("warn", "near does not answer")


async def test_a_process_that_went_silent_is_ended_and_one_that_starts_is_left(tmp_path: Path) -> None:
    row = Row("redis", 4711, "running", "unhealthy", None, None, 0)
    assert doctor_stack._of(row, tmp_path).remedy.startswith("kill -9 4711, and it is started anew; why: ")
    for state, pid in (("starting", 4711), ("restarting", None)):
        other = replace(row, state=state, pid=pid)
        assert doctor_stack._of(other, tmp_path).remedy == f"structured-prompt logs redis --data {tmp_path}"


def test_a_stack_that_is_half_up(tmp_path: Path, doctor: Callable[..., Any]) -> None:
    command = [sys.executable, str(FAKE), str(tmp_path), "--never-ready"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and "worker-infer-1" not in known(tmp_path):
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
