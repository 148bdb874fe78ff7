"""`monitor`: the rules of production, at the addresses of this machine."""

from pathlib import Path

import psutil
import pytest
import yaml

from ops.local import monitoring
from ops.local.instance import ProcessState
from ops.local.program import StackError

PROCESSES = [
    ProcessState("postgres", port=5432),
    ProcessState("api-1", port=8000, metrics_port=21_000),
    ProcessState("worker-infer-2", metrics_port=21_001),
    ProcessState("sink-clickhouse", metrics_port=21_002),
]


def test_every_process_that_counts_is_scraped_under_its_name() -> None:
    found = {row["targets"][0]: row["labels"] for row in monitoring.targets(PROCESSES)}
    assert found == {
        "127.0.0.1:21000": {"process": "api", "role": "door"},
        "127.0.0.1:21001": {"process": "worker-infer", "role": "line"},
        "127.0.0.1:21002": {"process": "sink-clickhouse", "role": "line"},
    }


def test_the_configuration_holds_the_rules_and_looks_nowhere_else() -> None:
    config = monitoring.configuration("127.0.0.1:9093", "127.0.0.1:9090")
    (rules,) = config["rule_files"]
    assert list(Path(rules).parent.glob("*.yml"))
    assert [job["job_name"] for job in config["scrape_configs"]] == [
        "structured-prompt",
        "structured-prompt-api",
        "prometheus",
    ]
    assert "dns_sd_configs" not in yaml.safe_dump(config)


def test_links_in_alerts_lead_to_where_they_listen(tmp_path: Path, monkeypatch) -> None:
    for name in ("prometheus", "alertmanager"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    watch = monitoring.plan(tmp_path, PROCESSES)
    assert f"--web.external-url={watch.prometheus_url}" in watch.prometheus
    assert f"--web.external-url={watch.alertmanager_url}" in watch.alertmanager


def test_what_is_not_installed_is_named_with_the_command_that_brings_it(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="prometheus is not installed: apt-get install"):
        monitoring.plan(tmp_path, PROCESSES)


def test_one_that_ends_is_named_and_neither_is_left() -> None:
    watch = monitoring.Watch(["sleep", "0.1"], ["sleep", "60"], "", "")
    with pytest.raises(StackError, match="sleep ended with 0"):
        monitoring.run(watch)
    assert [child for child in psutil.Process().children() if child.name() == "sleep"] == []
