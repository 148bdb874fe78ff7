"""Metrics are declared once; the real ones and the twin are equally strict."""

import re

import pytest

from connectors.memory.metrics import MemoryMetrics
from connectors.telemetry.metrics import PrometheusMetrics
from domain.metrics import METRICS, PREFIX, Metrics


@pytest.fixture(params=[MemoryMetrics, PrometheusMetrics])
def metrics(request: pytest.FixtureRequest) -> Metrics:
    made: Metrics = request.param()
    return made


def test_an_undeclared_name_is_refused(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="not declared"):
        metrics.count("evnts_in", stage="intake")


def test_wrong_labels_are_refused(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="labels"):
        metrics.count("events_in", tenant="acme")
    with pytest.raises(ValueError, match="labels"):
        metrics.gauge("consumer_lag", 1, topic="prompt.requests")


def test_a_counter_is_no_gauge(metrics: Metrics) -> None:
    with pytest.raises(ValueError, match="is a counter"):
        metrics.gauge("events_in", 1, stage="intake")


def test_the_twin_shows_what_was_counted() -> None:
    metrics = MemoryMetrics()
    metrics.count("dead_letters", stage="intake", code="unreadable")
    metrics.count("dead_letters", 2, code="too_old", stage="intake")
    metrics.gauge("in_flight", 3, stage="infer")
    metrics.gauge("in_flight", 2, stage="infer")
    metrics.observe("stage_seconds", 0.5, stage="infer")
    assert metrics.value("dead_letters", stage="intake") == 3
    assert metrics.value("dead_letters", code="too_old") == 2
    assert metrics.value("in_flight", stage="infer") == 2
    assert metrics.observed("stage_seconds") == [0.5]


def test_prometheus_reads_every_declared_metric() -> None:
    metrics = PrometheusMetrics()
    for metric in METRICS.values():
        labels = dict.fromkeys(metric.labels, "x")
        {"counter": metrics.count, "gauge": metrics.gauge, "histogram": metrics.observe}[metric.kind](
            metric.name, 1, **labels
        )
    text = metrics.render().decode()
    for metric in METRICS.values():
        shown = metric.wire_name + ("_count" if metric.kind == "histogram" else "")
        assert re.search(rf"^{shown}(\{{[^}}]*\}})? 1\.0$", text, re.MULTILINE), metric.name
    assert "_created" not in text
    assert "process_resident_memory_bytes" in text


def test_two_orders_of_the_same_labels_are_one_series() -> None:
    metrics = PrometheusMetrics()
    metrics.count("events_out", stage="infer", topic="prompt.results")
    metrics.count("events_out", 2, topic="prompt.results", stage="infer")
    assert f'{PREFIX}events_out_total{{stage="infer",topic="prompt.results"}} 3.0' in metrics.render().decode()


def test_every_metric_explains_itself_and_has_no_tenant() -> None:
    for metric in METRICS.values():
        assert metric.help.endswith("."), metric.name
        assert not {"tenant", "id", "key", "request_id"} & set(metric.labels), metric.name
        assert bool(metric.buckets) == (metric.kind == "histogram")
