"""The load scenarios in their short form (`make load` is the long one), with Locust and with k6: no request fails."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ops.local.tools import found
from tests.e2e.conftest import Product
from tests.load.__main__ import ROOT, Order, Target, load

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
CLIENTS, SECONDS = 10, 4
NAMES = ["steady", "burst", "soak", "mixed"]


@pytest.mark.parametrize("scenario", NAMES)
def test_no_request_fails(product: Product, scenario: str, tmp_path: Path) -> None:
    order = Order(scenario, CLIENTS, SECONDS, tmp_path)
    code, rows = load(order, Target(product.env["API_URL"], product.env["API_KEY"]))
    assert {name: failed for name, (_, failed) in rows.items() if failed} == {}
    assert code == 0
    assert sum(asked for asked, _ in rows.values()) >= CLIENTS
    page = tmp_path / f"{scenario}.html"
    assert "<script src=" not in page.read_text()


@pytest.fixture(scope="module")
def k6() -> str:
    program = found("k6")
    if program is None:
        reason = "k6 is not here: make tools TOOLS=k6 builds it where Go is installed"
        if os.environ.get("CI") and shutil.which("go"):
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.mark.parametrize("scenario", NAMES)
def test_no_request_of_k6_fails(product: Product, k6: str, scenario: str, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    size = [f"--env={name}={value}" for name, value in (("CLIENTS", CLIENTS), ("SECONDS", SECONDS))]
    # no port of its own, so that two may run; nothing is told to its makers
    words = [
        k6,
        "run",
        "--quiet",
        "--no-color",
        "--no-usage-report",
        "--address=",
        f"--summary-export={summary}",
        *size,
    ]
    environ = {**os.environ, "URL": product.env["API_URL"], "KEY": product.env["API_KEY"]}
    done = subprocess.run(
        [*words, str(ROOT / f"tests/load/k6/{scenario}.js")],
        env=environ, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    metrics: dict[str, Any] = json.loads(summary.read_text())["metrics"]
    # whoever is told to repeat was not refused
    told = metrics.get("told_to_repeat", {}).get("count", 0)
    assert metrics["http_req_failed"]["passes"] == told, done.stdout
    assert metrics["http_reqs"]["count"] >= CLIENTS
    assert metrics["checks"]["fails"] == 0
