"""`worker`, `api` and `sink` read the environment and start nothing when it is wrong."""

import pytest

from domain.errors import InvalidSettings


@pytest.mark.parametrize("words", [("api",), ("worker",), ("sink", "clickhouse")])
def test_every_missing_setting_is_named(cli, words):
    error = cli(*words).exception
    assert isinstance(error, InvalidSettings)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "DATABASE_URL", "REDIS_URL", "CLICKHOUSE_URL"):
        assert name in str(error)


@pytest.mark.parametrize("stage", ["intak", "intake,brain", ","])
def test_an_unknown_stage_is_bad_usage(cli, stage):
    result = cli("worker", "--stage", stage)
    assert result.exit_code == 2
    assert "intake, infer, wake" in result.output
