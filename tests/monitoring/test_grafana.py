"""Grafana's alerts are the pages of Prometheus, in the form that Grafana's provisioning reads."""
# ruff: noqa: N815 - the names are Grafana's

import json
import re
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

DURATION = r"^(\d+[smhd])+$"
FOLDER = Path(__file__).parents[2] / "ops/grafana/provisioning/alerting"


class Strict(BaseModel):
    """Names as Grafana's reader has them (rules_types.go of its provisioning); it passes over others."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Range(Strict):
    from_: int = Field(alias="from", ge=0)
    to: int = Field(ge=0)


class Query(Strict):
    refId: str
    relativeTimeRange: Range
    datasourceUid: str
    model: dict[str, Any]


class Rule(Strict):
    uid: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,40}$")
    title: str = Field(min_length=1, max_length=190)
    condition: str
    data: list[Query] = Field(min_length=2)
    noDataState: Literal["NoData", "Alerting", "OK", "KeepLast"]
    execErrState: Literal["Error", "Alerting", "OK", "KeepLast"]
    duration: str = Field(alias="for", pattern=DURATION)
    labels: dict[str, str]
    annotations: dict[str, str]


class Group(Strict):
    orgId: int
    name: str
    folder: str
    interval: str = Field(pattern=DURATION)
    rules: list[Rule]


class Receiver(Strict):
    uid: str
    type: Literal["prometheus-alertmanager"]
    settings: dict[str, str]


class ContactPoint(Strict):
    orgId: int
    name: str
    receivers: list[Receiver]


class Policy(Strict):
    orgId: int
    receiver: str
    group_by: list[str]
    group_wait: str = Field(pattern=DURATION)
    group_interval: str = Field(pattern=DURATION)
    repeat_interval: str = Field(pattern=DURATION)


class File(Strict):
    apiVersion: Literal[1]
    groups: list[Group] = []
    contactPoints: list[ContactPoint] = []
    policies: list[Policy] = []


@pytest.fixture(scope="module")
def files() -> dict[str, File]:
    return {path.name: File.model_validate(yaml.safe_load(path.read_text())) for path in FOLDER.glob("*.yml")}


@pytest.fixture(scope="module")
def grafana(files: dict[str, File]) -> dict[str, Rule]:
    rules = [rule for file in files.values() for group in file.groups for rule in group.rules]
    assert len({rule.uid for rule in rules}) == len(rules)
    return {rule.title: rule for rule in rules}


def test_every_page_is_also_grafanas_with_the_same_expression_and_patience(
    grafana: dict[str, Rule], alerts: dict[str, dict[str, Any]]
) -> None:
    pages = {name: rule for name, rule in alerts.items() if rule["labels"]["severity"] == "page"}
    assert sorted(grafana) == sorted([*pages, "PrometheusSilent"])
    for name, rule in pages.items():
        mine = grafana[name]
        assert re.sub(r"\s+", " ", mine.data[0].model["expr"]) == re.sub(r"\s+", " ", rule["expr"].strip()), name
        assert mine.duration == rule.get("for", "0s"), name
        assert mine.labels == rule["labels"], name
        assert mine.annotations["runbook_url"] == rule["annotations"]["runbook_url"], name


def test_a_rule_fires_for_each_series_that_its_expression_gives(root: Path, grafana: dict[str, Rule]) -> None:
    sources = yaml.safe_load(next((root / "ops/grafana/provisioning/datasources").glob("*.yml")).read_text())
    uids = {source["uid"] for source in sources["datasources"]}
    for name, rule in grafana.items():
        asked, judged = rule.data
        assert (asked.refId, judged.refId, rule.condition) == ("A", "B", "B"), name
        assert all(query.model["refId"] == query.refId for query in rule.data), name
        assert asked.datasourceUid in uids, name
        assert (asked.model["instant"], asked.model["range"]) == (True, False), name
        assert judged.datasourceUid == "__expr__", name
        # an alert's value may be 0 (a process that is not up): that there is one is what counts
        assert (judged.model["type"], judged.model["expression"]) == ("math", "is_number($A)"), name


def test_what_is_said_names_values_as_grafana_has_them(root: Path, grafana: dict[str, Rule]) -> None:
    boards = {json.loads(path.read_text())["uid"] for path in (root / "ops/grafana/dashboards").glob("*.json")}
    for name, rule in grafana.items():
        assert "$value " not in rule.annotations["summary"], name
        assert rule.annotations["__dashboardUid__"] in boards, name


def test_no_series_is_quiet_but_a_prometheus_that_does_not_answer_is_not(grafana: dict[str, Rule]) -> None:
    assert {rule.noDataState for rule in grafana.values()} == {"OK"}
    alerting = [name for name, rule in grafana.items() if rule.execErrState == "Alerting"]
    assert alerting == ["PrometheusSilent"]


def test_alertmanager_is_told_and_tells(files: dict[str, File]) -> None:
    (point,), (policy,) = files["notify.yml"].contactPoints, files["notify.yml"].policies
    assert policy.receiver == point.name
    assert policy.group_by == ["alertname"]
