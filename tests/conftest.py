"""The one place where tests get engines from, and the guard that keeps them from calling anybody real.

Engines are containers when a container engine answers on this machine and can start them, the embedded stack otherwise,
or with `pytest --engines DIR` an embedded stack that already runs in DIR. No environment variable can point a test
elsewhere.
"""

import asyncio
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from hypothesis import HealthCheck, settings

from ops.local.environment import clean, is_setting, read_env
from ops.local.instance import is_running, read_state
from ops.local.kafka import CONFIG
from ops.local.ports import Ports, is_free

LOOPBACK = ("127.", "::1", "localhost")
CONTAINER_SOCKET = "/var/run/docker.sock"


@dataclass(frozen=True, slots=True)
class Engines:
    """Addresses of the engines of this test session, in the form of our settings. `provider_url` ends in /v1."""

    kafka: str
    database_url: str
    redis_url: str
    clickhouse_url: str
    provider_url: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engines", metavar="DIR", help="use the embedded engines that run in DIR")
    parser.addoption("--outages", choices=["short", "full"], default="short", help="how much of tests/outages")


# --- nobody real -----------------------------------------------------------------------------------------------------


def _refuse_strangers(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if isinstance(address, tuple) and not str(address[0]).startswith(LOOPBACK):
        raise AssertionError(f"a test tried to reach {address[0]}: tests speak to this machine only")


def pytest_configure() -> None:
    sys.addaudithook(_refuse_strangers)
    # of a random case nothing is known but the load of the machine when it takes long
    settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("any machine")
    for name in filter(is_setting, list(os.environ)):
        del os.environ[name]


# --- engines ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def engines(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engines]:
    """Kafka, PostgreSQL, Redis, ClickHouse and the simulated provider; all shared by the session."""
    given = request.config.getoption("--engines")
    with ExitStack() as stack:
        try:
            if given:
                urls = _running(Path(given).absolute())
            else:
                urls = _in_containers(stack, request.config)
                urls = urls or stack.enter_context(_embedded(tmp_path_factory.mktemp("engines")))
            provider = stack.enter_context(_provider(tmp_path_factory.mktemp("provider")))
        except (OSError, RuntimeError, ImportError) as error:
            if os.environ.get("CI"):
                pytest.fail(f"no engines: {error}")
            pytest.skip(f"no engines: {error}")
        yield Engines(**urls, provider_url=provider)


def _running(data: Path) -> dict[str, str]:
    if not is_running(data):
        raise RuntimeError(f"no stack runs in {data}")
    return _addresses(data)


def _addresses(data: Path) -> dict[str, str]:
    values = read_env(data)
    names = {
        "kafka": "KAFKA_BOOTSTRAP_SERVERS",
        "database_url": "DATABASE_URL",
        "redis_url": "REDIS_URL",
        "clickhouse_url": "CLICKHOUSE_URL",
    }
    return {field: values[name] for field, name in names.items()}


def _is_ready(data: Path) -> bool:
    state = read_state(data)
    return state is not None and state.phase == "ready"


@contextmanager
def _embedded(data: Path) -> Iterator[dict[str, str]]:
    log = data / "supervisor.log"
    with _process([sys.executable, "-m", "ops.local.engines", "--data", str(data)], log) as process:
        _await(process, lambda: _is_ready(data), log, seconds=120)
        yield _addresses(data)


@contextmanager
def _provider(directory: Path) -> Iterator[str]:
    port = Ports(directory / "ports.json").of("provider")
    log = directory / "provider.log"
    command = [sys.executable, "-m", "ops.local.provider", "--host", "127.0.0.1", "--port", str(port)]
    with _process(command, log) as process:
        _await(process, lambda: not is_free(port), log, seconds=20)
        yield f"http://127.0.0.1:{port}/v1"


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=clean(os.environ))
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=40)
        process.kill()
        process.wait()


def _await(process: subprocess.Popen[bytes], happened: Callable[[], bool], log: Path, *, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args} does not start: {log.read_text()[-800:]}")
        time.sleep(0.05)


def _container_engine_answers() -> bool:
    with socket.socket(socket.AF_UNIX) as engine:
        engine.settimeout(2)
        try:
            engine.connect(CONTAINER_SOCKET)
            engine.sendall(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n")
            return b" 200 " in engine.recv(64)
        except OSError:
            return False


def _in_containers(stack: ExitStack, config: pytest.Config) -> dict[str, str] | None:
    """Addresses of engines in containers; None where no engine answers, or cannot start them, as without a registry."""
    if not _container_engine_answers():
        return None
    try:
        return stack.enter_context(_containers())
    except Exception as error:  # noqa: BLE001  (testcontainers hands on what each of its clients raises)
        terminal = config.pluginmanager.get_plugin("terminalreporter")
        if terminal:
            terminal.write_line(f"the embedded engines are used, for containers do not start: {error}")
        return None


def _broker_settings() -> dict[str, str]:
    """Those of the embedded broker, as variables of the image, but for where it is."""
    lines = [line.split("=", 1) for line in CONFIG.splitlines() if "{" not in line]
    own = {"process.roles", "node.id", "inter.broker.listener.name", "listener.security.protocol.map"}
    return {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in lines if name not in own}


@contextmanager
def _containers() -> Iterator[dict[str, str]]:
    from testcontainers.community.clickhouse import ClickHouseContainer
    from testcontainers.community.kafka import KafkaContainer
    from testcontainers.community.postgres import PostgresContainer
    from testcontainers.community.redis import RedisContainer

    account = {"username": "app", "password": "app", "dbname": "structured_prompt"}
    broker = KafkaContainer("confluentinc/cp-kafka:8.1.0").with_kraft()
    for name, value in _broker_settings().items():
        broker.with_env(name, value)
    server = PostgresContainer("pgvector/pgvector:pg18", **account, driver=None)
    with (
        broker as kafka,
        server.with_command("postgres -c max_connections=200") as postgres,
        RedisContainer("redis:7-alpine").with_command("redis-server --databases 512") as redis,
        ClickHouseContainer("clickhouse/clickhouse-server:25.8", port=8123, **account) as clickhouse,
    ):
        http = f"{clickhouse.get_container_host_ip()}:{clickhouse.get_exposed_port(8123)}"
        yield {
            "kafka": kafka.get_bootstrap_server(),
            "database_url": postgres.get_connection_url(),
            "redis_url": f"redis://{redis.get_container_host_ip()}:{redis.get_exposed_port(6379)}/0",
            "clickhouse_url": f"http://app:app@{http}/structured_prompt",
        }


# --- a place of one's own on them ------------------------------------------------------------------------------------


@pytest.fixture
def topic_prefix() -> str:
    """A prefix for topics and consumer groups that no other test has."""
    return f"t{secrets.token_hex(4)}."


@pytest.fixture
def redis_url(engines: Engines) -> Iterator[str]:
    """An empty Redis database, handed out in turn (1–511) also between sessions."""
    import redis

    with redis.Redis.from_url(engines.redis_url) as client:
        number = 1 + int(client.incr("tests:database")) % 511
    url = with_path(engines.redis_url, str(number))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture
def clickhouse_url(engines: Engines) -> Iterator[str]:
    """An empty ClickHouse database."""
    name = f"test_{secrets.token_hex(4)}"
    _clickhouse(engines.clickhouse_url, f"CREATE DATABASE {name}")
    yield with_path(engines.clickhouse_url, name)
    _clickhouse(engines.clickhouse_url, f"DROP DATABASE {name}")


@pytest.fixture(scope="session")
def migrated_template(engines: Engines) -> Iterator[str]:
    """The name of a PostgreSQL database at the newest migration, to create others from."""
    from connectors.postgres.migrate import upgrade

    name = f"template_{secrets.token_hex(4)}"
    _postgres(engines.database_url, f"CREATE DATABASE {name}")
    upgrade(with_path(engines.database_url, name))
    yield name
    _postgres(engines.database_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def database_url(engines: Engines, migrated_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database of the test module."""
    with new_database(engines.database_url, migrated_template) as url:
        yield url


@contextmanager
def new_database(engine: str, template: str) -> Iterator[str]:
    """Another database like `template`."""
    name = f"test_{secrets.token_hex(4)}"
    _postgres(engine, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield with_path(engine, name)
    _postgres(engine, f"DROP DATABASE {name} WITH (FORCE)")


def with_path(url: str, path: str) -> str:
    """`url` with another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{path}"))


def _postgres(url: str, statement: str) -> None:
    import asyncpg

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def _clickhouse(url: str, statement: str) -> None:
    parts = urlsplit(url)
    token = b64encode(f"{parts.username}:{parts.password}".encode()).decode()
    request = urllib.request.Request(
        f"http://{parts.hostname}:{parts.port}/", data=statement.encode(), headers={"Authorization": f"Basic {token}"}
    )
    urllib.request.urlopen(request, timeout=10).close()
