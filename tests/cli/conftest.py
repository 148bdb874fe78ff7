"""The command line as a user would call it, on engines of the test's own."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner, Result

from cli.main import build
from connectors.clickhouse.migrate import upgrade

PEPPER = "p" * 32


@pytest.fixture
def cli(monkeypatch) -> Callable[..., Result]:
    """Runs one command in this process; errors of ours stay in `result.exception`."""
    monkeypatch.setenv("COLUMNS", "200")
    app = build()

    def run(*words: str, stdin: str | bytes | None = None) -> Result:
        return CliRunner().invoke(app, words, input=stdin)

    return run


@pytest.fixture
def stack(engines, database_url, redis_url, clickhouse_url, topic_prefix, monkeypatch) -> Iterator[None]:
    """An environment that names engines of this test, migrated, with topics; the tenant is demo."""
    upgrade(clickhouse_url)
    values = {
        "KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "CLICKHOUSE_URL": clickhouse_url,
        "PROVIDER_URL": engines.provider_url,
        "STRUCTURED_PROMPT_TOPIC_PREFIX": topic_prefix,
        "STRUCTURED_PROMPT_KEY_PEPPER": PEPPER,
        "STRUCTURED_PROMPT_REPLICATION_FACTOR": "1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    applied = CliRunner().invoke(build(), ["topics", "apply"], catch_exceptions=False)
    assert applied.exit_code == 0, applied.output
    yield
    client = AdminClient({"bootstrap.servers": engines.kafka})
    mine = [name for name in client.list_topics(timeout=10).topics if name.startswith(topic_prefix)]
    for deleted in client.delete_topics(mine).values():
        deleted.result(10)
