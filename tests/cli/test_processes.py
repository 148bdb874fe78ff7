"""`worker`, `api` and `sink` read the environment and start nothing when it is wrong."""

import pytest

from connectors.catalog import catalogue
from domain.errors import InvalidSettings
from domain.settings import load

ENGINES = {
    "KAFKA_BOOTSTRAP_SERVERS": "h:1",
    "DATABASE_URL": "postgresql://u:p@h/d",
    "REDIS_URL": "redis://h:1/0",
    "CLICKHOUSE_URL": "http://h:1/structured_prompt",
}


@pytest.mark.parametrize("words", [("api",), ("worker",), ("sink", "clickhouse")])
def test_every_missing_setting_is_named(cli, words):
    error = cli(*words).exception
    assert isinstance(error, InvalidSettings)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL"):
        assert name in str(error)


ADDRESSES = {
    "KAFKA_BOOTSTRAP_SERVERS": "kafka://one:9092",
    "DATABASE_URL": "nowhere:s3cret",
    "REDIS_URL": "localhost",
    "CLICKHOUSE_URL": "https://",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318",
}


def test_every_address_of_the_wrong_kind_is_named_at_once_and_none_is_shown():
    with pytest.raises(InvalidSettings) as raised:
        load({**ADDRESSES, "STRUCTURED_PROMPT_TYPO": "1"}, read_file=str)
    assert all(name in str(raised.value) for name in (*ADDRESSES, "STRUCTURED_PROMPT_TYPO"))
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize("redis", ["redis://h:1/0", "rediss://h:1/0", "unix:///run/redis.sock"])
@pytest.mark.parametrize("database", ["postgresql://u:p@h/d", "postgres:///d?host=/run", "postgresql://u@h1:1,h2:2/d"])
def test_addresses_that_the_clients_understand_are_taken(redis, database):
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": "one:9092, two:9092",
        "DATABASE_URL": database,
        "REDIS_URL": redis,
        "CLICKHOUSE_URL": "http://h:1/structured_prompt",
    }
    assert load(given, read_file=str).database_url.get_secret_value() == database


def test_a_catalogue_that_cannot_be_read_is_a_wrong_setting():
    given = {**ENGINES, "STRUCTURED_PROMPT_MODELS": "/nowhere/models.yaml"}
    with pytest.raises(InvalidSettings, match=r"STRUCTURED_PROMPT_MODELS: cannot read /nowhere/models\.yaml"):
        catalogue(load(given, read_file=str), {})


def test_a_provider_key_may_come_from_a_file(tmp_path):
    key = tmp_path / "key"
    key.write_text("sk-from-a-file\n")
    models = catalogue(load(ENGINES, read_file=str), {"OPENAI_API_KEY_FILE": str(key)})
    assert {deployment.provider for deployment in models.deployments} == {"openai"}
    assert models.aliases["fast"]


def test_a_key_file_that_cannot_be_read_is_a_wrong_setting():
    with pytest.raises(InvalidSettings, match="OPENAI_API_KEY_FILE: cannot read /nowhere/key"):
        catalogue(load(ENGINES, read_file=str), {"OPENAI_API_KEY_FILE": "/nowhere/key"})


@pytest.mark.parametrize("stage", ["intak", "intake,brain", ","])
def test_an_unknown_stage_is_bad_usage(cli, stage):
    result = cli("worker", "--stage", stage)
    assert result.exit_code == 2
    assert "intake, infer, wake" in result.output
