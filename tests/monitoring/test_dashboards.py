"""Whoever is told by an alert finds it drawn, and a line that is well is drawn as such."""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.monitoring.test_rules import metrics_of

WELL = 'structured_prompt_provider_calls_total{provider="openai",model="m",outcome="ok"}'


@pytest.fixture(scope="module")
def panels(root: Path) -> list[dict[str, Any]]:
    boards = [json.loads(path.read_text()) for path in sorted((root / "ops/grafana/dashboards").glob("*.json"))]
    return [panel for board in boards for panel in board["panels"] if panel["type"] != "row"]


def looked_at(expression: str, rules: list[dict[str, Any]]) -> set[str]:
    """The metrics behind an expression, through recorded ones."""
    recorded = {rule["record"]: rule["expr"] for rule in rules if "record" in rule}
    names = [metrics_of(recorded.get(name, name)) for name in metrics_of(expression)]
    return {re.sub(r"_(bucket|sum|count)$", "", name) for found in names for name in found}


def test_what_an_alert_looks_at_is_drawn(
    panels: list[dict[str, Any]], rules: list[dict[str, Any]], alerts: dict[str, dict[str, Any]]
) -> None:
    drawn = {name for one in panels for target in one["targets"] for name in looked_at(target["expr"], rules)}
    missing = {name: looked_at(rule["expr"], rules) - drawn for name, rule in alerts.items()}
    assert {name: metrics for name, metrics in missing.items() if metrics} == {}


def test_a_provider_that_never_failed_is_drawn_as_nothing_failing(
    root: Path, tmp_path: Path, tool: Callable[..., str]
) -> None:
    asked = {"expr": "sp:provider_errors:ratio_rate10m", "eval_time": "15m"}
    expected = [{"labels": 'sp:provider_errors:ratio_rate10m{provider="openai",model="m"}', "value": 0}]
    case = {
        "interval": "1m",
        "input_series": [{"series": WELL, "values": "0+10x20"}],
        "promql_expr_test": [{**asked, "exp_samples": expected}],
    }
    rules = [str(root / "ops/prometheus/rules/recording.yml")]
    file = tmp_path / "well_test.yml"
    file.write_text(yaml.safe_dump({"rule_files": rules, "tests": [case]}))
    done = subprocess.run([tool("promtool"), "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
