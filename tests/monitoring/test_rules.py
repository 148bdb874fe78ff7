"""Rules are valid, each is proven by a test of promtool's, and all that they look at exists."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from domain.metrics import METRICS, PREFIX

# what Prometheus, its client in a process, node_exporter and blackbox_exporter tell
OTHERS = {
    "up",
    "ALERTS",
    "process_start_time_seconds",
    "process_resident_memory_bytes",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_max_fds",
    "node_filesystem_avail_bytes",
    "node_filesystem_size_bytes",
    "probe_success",
    "probe_ssl_earliest_cert_expiry",
}
WORDS = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
NOT_METRICS = {
    "sum",
    "max",
    "min",
    "count",
    "by",
    "on",
    "and",
    "or",
    "unless",
    "offset",
    "rate",
    "increase",
    "deriv",
    "changes",
    "absent",
    "time",
    "vector",
    "bool",
    "ignoring",
    "without",
    "predict_linear",
    "histogram_quantile",
    "last_over_time",
    "group_left",
}


def metrics_of(expression: str) -> set[str]:
    """The metrics an expression reads: its words but for functions, labels and texts."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}", "", bare)
    bare = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", bare)
    bare = re.sub(r"\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b\d[\w.]*", "", bare)
    return set(WORDS.findall(bare)) - NOT_METRICS


def labels_of(expression: str) -> dict[str, set[str]]:
    """The labels that an expression selects of each of our metrics."""
    found: dict[str, set[str]] = {}
    for name, inside in re.findall(rf"\b({PREFIX}\w+)\{{([^}}]*)\}}", expression):
        found.setdefault(name, set()).update(re.findall(r"(\w+)\s*[=!]", inside))
    return found


def declared_names() -> dict[str, set[str]]:
    """Every series of ours and its labels; process and instance come from the scrape."""
    known = {}
    for metric in METRICS.values():
        labels = {*metric.labels, "process", "instance", "job"}
        endings = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        known.update({metric.wire_name + ending: labels | {"le"} for ending in endings})
    return known


def expressions(root: Path, rules: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """(where, expression) of every rule and every panel."""
    found = [(str(rule.get("alert") or rule["record"]), rule["expr"]) for rule in rules]
    for path in sorted((root / "ops/grafana/dashboards").glob("*.json")):
        for panel in yaml.safe_load(path.read_text())["panels"]:
            found += [(f"{path.stem}: {panel['title']}", target["expr"]) for target in panel.get("targets", [])]
    grafana = yaml.safe_load((root / "ops/grafana/provisioning/alerting/rules.yml").read_text())
    for rule in [rule for group in grafana["groups"] for rule in group["rules"]]:
        found += [(f"Grafana: {rule['title']}", query["model"]["expr"]) for query in rule["data"][:1]]
    return found


def test_all_that_rules_and_dashboards_look_at_is_declared(root: Path, rules: list[dict[str, Any]]) -> None:
    known = {*declared_names(), *OTHERS, *(rule["record"] for rule in rules if "record" in rule)}
    unknown = [
        (where, metrics_of(expr) - known) for where, expr in expressions(root, rules) if metrics_of(expr) - known
    ]
    assert unknown == []


def test_the_labels_they_select_are_declared_too(root: Path, rules: list[dict[str, Any]]) -> None:
    known = declared_names()
    wrong = [
        (where, name, labels - known[name])
        for where, expr in expressions(root, rules)
        for name, labels in labels_of(expr).items()
        if labels - known[name]
    ]
    assert wrong == []


def test_every_alert_says_how_urgent_it_is_and_what_to_do(alerts: dict[str, dict[str, Any]]) -> None:
    for name, rule in alerts.items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert rule["annotations"]["summary"].endswith("."), name
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"


def test_what_is_counted_is_told_in_whole_numbers(alerts: dict[str, dict[str, Any]]) -> None:
    """increase() extrapolates: one webhook endpoint would be 1.008 of them."""
    counting = [rule for rule in alerts.values() if "increase(" in rule["expr"] or "changes(" in rule["expr"]]
    assert len(counting) > 10
    fractions = [
        rule["alert"] for rule in counting if re.search(r"\$value \| humanize ", rule["annotations"]["summary"])
    ]
    assert fractions == []


def test_every_alert_is_tested_quiet_and_firing(root: Path, alerts: dict[str, dict[str, Any]]) -> None:
    files = sorted((root / "tests/monitoring").glob("*_test.yml"))
    cases = [case for file in files for case in yaml.safe_load(file.read_text())["tests"]]
    assert sorted(case["name"] for case in cases) == sorted(alerts)
    for case in cases:
        quiet, firing = case["promql_expr_test"]
        assert quiet["exp_samples"] == []
        assert firing["exp_samples"]
        assert f'alertname="{case["name"]}"' in firing["expr"]
        assert quiet["expr"] == firing["expr"]


@pytest.mark.timeout(600)  # eight seconds of CPU, for three days of samples
def test_promtool_finds_the_rules_valid_and_their_tests_pass(root: Path, tool: Callable[..., str]) -> None:
    promtool = tool("promtool")
    files = [str(path) for path in sorted((root / "ops/prometheus/rules").glob("*.yml"))]
    for words in (
        ["check", "rules", *files],
        ["check", "config", "ops/prometheus/prometheus.yml"],
        ["test", "rules", *(str(path) for path in sorted((root / "tests/monitoring").glob("*_test.yml")))],
    ):
        done = subprocess.run([promtool, *words], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
