"""Code, dashboards and alerts use only declared metrics, and every declared one is used."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.metrics import METRICS, PREFIX, declared

KINDS = {"count": "counter", "observe": "histogram", "gauge": "gauge"}


def uses(sources: list[Any]) -> Iterator[tuple[str, str, ast.Call]]:
    """(where, kind, call) of each `….metrics.count("name", …)`."""
    for source in sources:
        for node in ast.walk(source.tree):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KINDS):
                continue
            if ast.unparse(node.func.value).removeprefix("self.").endswith("metrics"):
                yield f"{source.path}:{node.lineno}", KINDS[node.func.attr], node


def names(argument: ast.expr) -> list[str]:
    """The names a first argument can stand for: a text, or one of two."""
    branches = [argument.body, argument.orelse] if isinstance(argument, ast.IfExp) else [argument]
    return [branch.value for branch in branches if isinstance(branch, ast.Constant) and isinstance(branch.value, str)]


def test_every_use_is_declared_with_its_kind_and_labels(sources: list[Any]) -> None:
    wrong = []
    for where, kind, call in uses(sources):
        labels = frozenset(keyword.arg for keyword in call.keywords if keyword.arg)
        for name in names(call.args[0]):
            try:
                declared(name, kind, labels)
            except ValueError as error:
                wrong.append(f"{where}: {error}")
    assert not wrong, "\n".join(wrong)


def test_every_declared_metric_is_used(sources: list[Any]) -> None:
    used = {name for _, _, call in uses(sources) for name in names(call.args[0])}
    assert sorted(METRICS.keys() - used) == []


def test_dashboards_and_alerts_draw_only_declared_metrics(root: Path) -> None:
    shown = {metric.wire_name for metric in METRICS.values()}
    known = shown | {
        name + suffix
        for name in shown
        for suffix in ("_bucket", "_sum", "_count")
        if METRICS[name.removeprefix(PREFIX).removesuffix("_total")].kind == "histogram"
    }
    texts = [*root.glob("ops/grafana/**/*.json"), *root.glob("ops/prometheus/*.yml")]
    assert texts
    for path in texts:
        drawn = set(re.findall(rf"\b{PREFIX}[a-z_]+", path.read_text()))
        assert drawn <= known, (path.name, drawn - known)


BOARDS = sorted((Path(__file__).parents[2] / "ops/grafana/dashboards").glob("*.json"))


@pytest.mark.parametrize("path", BOARDS, ids=lambda path: path.stem)
def test_every_panel_has_a_query_a_unit_a_description_and_a_place_of_its_own(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    assert dashboard["uid"] == path.stem
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert panels
    for panel in panels:
        assert panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["expr"] for target in panel["targets"]), panel["title"]
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
