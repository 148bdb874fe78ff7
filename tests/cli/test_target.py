"""Commands never reach beyond this machine unless they are told to."""

from pathlib import Path

import pytest

from cli._stack import Stack
from cli._target import find
from domain.errors import InvalidSettings
from ops.local.environment import write_env

HERE = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "DATABASE_URL": "postgresql://app:x@localhost:5432/db",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "CLICKHOUSE_URL": "http://app:x@[::1]:8123/structured_prompt",
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def use(monkeypatch, values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def test_without_a_stack_it_says_how_to_get_one():
    with pytest.raises(InvalidSettings, match="structured-prompt up"):
        find(Stack())


def test_an_environment_that_points_here_is_used(monkeypatch):
    use(monkeypatch, {**HERE, "PROVIDER_URL": "http://127.0.0.1:9/v1"})
    target = find(Stack())
    assert (target.settings.kafka, target.tenant) == ("127.0.0.1:9092", "demo")
    assert target.settings.simulated_provider_url == "http://127.0.0.1:9/v1"


@pytest.mark.parametrize("name", list(HERE))
def test_one_address_elsewhere_or_absent_needs_the_flag(monkeypatch, name):
    use(monkeypatch, {**HERE, name: HERE[name].replace("127.0.0.1", "db.example").replace("localhost", "db.example")})
    monkeypatch.delenv(name) if name == "CLICKHOUSE_URL" else None
    with pytest.raises(InvalidSettings, match="--use-env"):
        find(Stack())


def test_a_cluster_with_one_broker_elsewhere_is_elsewhere(monkeypatch):
    use(monkeypatch, {**HERE, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092,kafka.example:9092"})
    with pytest.raises(InvalidSettings, match="--use-env"):
        find(Stack())
    target = find(Stack(use_env=True))
    assert target.tenant is None
    assert target.settings.kafka.endswith("kafka.example:9092")


def embedded(data: Path) -> None:
    (data / "secrets").mkdir(parents=True)
    (data / "secrets" / "key_pepper").write_text("p" * 32)
    write_env(data, {**HERE, "PROVIDER_URL": "http://127.0.0.1:9/v1", "API_KEY": "sp_live_x"})


def test_a_directory_names_its_stack_whatever_the_environment_says(monkeypatch, tmp_path):
    embedded(tmp_path / "data")
    use(monkeypatch, dict.fromkeys(HERE, "prod.example:1"))
    target = find(Stack(data=Path("data")))
    assert (target.settings.kafka, target.settings.replication) == ("127.0.0.1:9092", 1)
    assert target.settings.key_pepper.get_secret_value() == "p" * 32


def test_the_stack_in_dot_local_is_the_default_also_when_its_env_was_sourced(monkeypatch, tmp_path):
    embedded(tmp_path / ".local")
    assert find(Stack()).settings.kafka == "127.0.0.1:9092"
    use(monkeypatch, HERE)
    assert find(Stack()).settings.key_pepper.get_secret_value() == "p" * 32


def test_directory_and_environment_contradict_each_other():
    with pytest.raises(InvalidSettings, match="contradict"):
        find(Stack(data=Path("x"), use_env=True))
