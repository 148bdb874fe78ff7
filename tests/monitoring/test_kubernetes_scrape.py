"""Pods of the chart under the names that rules know: the relabelling that ships, in a real Prometheus.

Pods come from a file: the programs of Debian know no service discovery of Kubernetes.
"""

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

META = "__meta_kubernetes_pod_"
PATIENCE_S = 60.0


def pod(number: int, component: str, **other: str) -> dict[str, Any]:
    """As Kubernetes' service discovery tells of it; nobody listens there."""
    labels = {
        "label_app_kubernetes_io_name": "structured-prompt",
        "label_app_kubernetes_io_component": component,
        "container_port_name": "metrics",
        "phase": "Running",
    }
    return {
        "targets": [f"127.0.0.1:{number}"],
        "labels": {META + name: told for name, told in (labels | other).items()},
    }


PODS = [
    pod(1, "api"),
    pod(2, "api", container_port_name="http"),
    pod(3, "worker-infer"),
    pod(4, "sink-clickhouse", phase="Pending"),
    pod(5, "worker-infer", label_app_kubernetes_io_name="another"),
]


@pytest.fixture
def scrape(root: Path) -> dict[str, Any]:
    (job,) = yaml.safe_load((root / "ops/prometheus/kubernetes.yml").read_text())["scrape_configs"]
    return dict(job)


def found(program: str, config: Path) -> list[dict[str, str]]:
    """The labels of what Prometheus scrapes."""
    words = [program, f"--config.file={config}", f"--storage.tsdb.path={config.parent / 'tsdb'}"]
    log = config.parent / "log"
    with log.open("wb") as told:
        process = subprocess.Popen([*words, "--web.listen-address=127.0.0.1:0"], stdout=told, stderr=told)
    try:
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until and process.poll() is None:
            if labels := active(log.read_text()):
                return labels
            time.sleep(0.1)
        pytest.fail(log.read_text())
    finally:
        process.kill()
        process.wait()


def active(log: str) -> list[dict[str, str]]:
    address = re.search(r'"Listening on" address=(127[.0-9]+:[0-9]+)', log)
    if address is None or "Server is ready" not in log:
        return []
    with urllib.request.urlopen(f"http://{address[1]}/api/v1/targets", timeout=PATIENCE_S) as answer:
        return [one["labels"] for one in json.load(answer)["data"]["activeTargets"]]


def test_pods_that_run_are_scraped_under_the_names_that_rules_know(
    scrape: dict[str, Any], tmp_path: Path, tool: Callable[..., str]
) -> None:
    (tmp_path / "pods.json").write_text(json.dumps(PODS))
    del scrape["kubernetes_sd_configs"]
    scrape["file_sd_configs"] = [{"files": ["pods.json"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump({"scrape_configs": [scrape]}))
    labels = found(tool("prometheus"), tmp_path / "prometheus.yml")
    assert sorted((one["instance"], one["job"], one["process"]) for one in labels) == [
        ("127.0.0.1:1", "structured-prompt-api", "api"),
        ("127.0.0.1:3", "structured-prompt", "worker-infer"),
    ]


def test_the_chart_names_pods_and_their_port_so(root: Path) -> None:
    templates = root / "ops/helm/templates"
    assert "app.kubernetes.io/name: structured-prompt" in (templates / "_parts.tpl").read_text()
    processes = (templates / "processes.yaml").read_text()
    assert "app.kubernetes.io/component: {{ $name }}" in processes
    assert "- {name: metrics, containerPort: 9400}" in processes
