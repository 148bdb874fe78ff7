"""Rules, dashboards and runbooks are read as files; promtool and amtool judge what is theirs."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def rules() -> list[dict[str, Any]]:
    """Every rule of every group, alerting and recording."""
    files = sorted((ROOT / "ops/prometheus/rules").glob("*.yml"))
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [rule for group in groups for rule in group["rules"]]


@pytest.fixture(scope="session")
def alerts(rules: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


@pytest.fixture(scope="session")
def tool() -> Callable[..., str]:
    """The first of the named programs that is installed."""

    def find(*names: str) -> str:
        for name in names:
            if path := shutil.which(name):
                return path
        if os.environ.get("CI"):
            pytest.fail(
                f"{names[0]} is not installed: .ci/run brings the packages prometheus and prometheus-alertmanager"
            )
        pytest.skip(f"{names[0]} is not installed (Debian: prometheus, prometheus-alertmanager)")

    return find
