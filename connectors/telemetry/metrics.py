"""The declared metrics over prometheus-client."""

from typing import Any, cast

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from domain.metrics import METRICS, PREFIX, Metric, declared

CONTENT_TYPE = CONTENT_TYPE_LATEST
# a second time series for every counter, which nothing reads
cast(Any, disable_created_metrics)()

Series = tuple[str, tuple[tuple[str, str], ...]]


class PrometheusMetrics:
    """Implements Metrics. A series' labels are resolved once, then found by one look into a dictionary."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._metrics = {metric.name: _build(metric, self._registry) for metric in METRICS.values()}
        self._series: dict[Series, Any] = {}

    def count(self, name: str, n: float = 1, /, **labels: str) -> None:
        self._child(name, "counter", labels).inc(n)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self._child(name, "histogram", labels).observe(value)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self._child(name, "gauge", labels).set(value)

    def render(self) -> bytes:
        """What /metrics answers, of type CONTENT_TYPE."""
        return generate_latest(self._registry)

    def _child(self, name: str, kind: str, labels: dict[str, str]) -> Any:
        key = (name, tuple(labels.items()))
        child = self._series.get(key)
        if child is None:
            declared(name, kind, frozenset(labels))
            metric = self._metrics[name]
            child = self._series[key] = metric.labels(**labels) if labels else metric
        return child


def _build(metric: Metric, registry: CollectorRegistry) -> Any:
    name = PREFIX + metric.name
    if metric.kind == "histogram":
        return Histogram(name, metric.help, metric.labels, buckets=metric.buckets, registry=registry)
    plain = cast(Any, Counter if metric.kind == "counter" else Gauge)
    return plain(name, metric.help, metric.labels, registry=registry)
