"""The declared metrics, counted here and exposed by prometheus-client.

The hot path counts a dozen times an event. A series is a plain number (0.4 us a count, where a child of the client
costs 1.5 to 3), and the client's families are made of them when somebody reads /metrics. A count needs no lock:
CPython switches threads at calls and loops, of which there is none between reading and writing a number.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.utils import floatToGoString

from domain.metrics import METRICS, PREFIX, declared
from domain.metrics import Metric as Declared

CONTENT_TYPE = CONTENT_TYPE_LATEST

Labels = tuple[str, ...]


class _Number:
    """A series of a counter or a gauge."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def add(self, n: float) -> None:
        self.value += n


class _Histogram:
    """A series of a histogram: how many observations fell below each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def observe(self, value: float) -> None:
        place = bisect_left(self.bounds, value)
        self.counts[place] += 1
        self.sum += value


class PrometheusMetrics:
    """Implements Metrics. A series is found by one look into a dictionary, whatever the order of its labels."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._all: dict[str, dict[Labels, Any]] = {name: _unlabelled(metric) for name, metric in METRICS.items()}
        self._series: dict[tuple[Any, ...], Any] = {}
        self._registry.register(_Families(self._all))

    def count(self, name: str, n: float = 1, /, **labels: str) -> None:
        series = self._series.get(("counter", name, *labels.items()))
        (series or self._find("counter", name, labels)).add(n)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        series = self._series.get(("histogram", name, *labels.items()))
        (series or self._find("histogram", name, labels)).observe(value)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        series = self._series.get(("gauge", name, *labels.items()))
        (series or self._find("gauge", name, labels)).value = value

    def render(self) -> bytes:
        """What /metrics answers, of type CONTENT_TYPE."""
        return generate_latest(self._registry)

    def _find(self, kind: str, name: str, labels: Mapping[str, str]) -> Any:
        """The series, made where it is new. Raises ValueError for what is not declared so."""
        metric = declared(name, kind, frozenset(labels))
        known = self._all[name]
        values = tuple(labels[label] for label in metric.labels)
        series = self._series[kind, name, *labels.items()] = known.setdefault(values, _series(metric))
        return series


class _Families:
    """A collector of prometheus-client: reads all series at once."""

    def __init__(self, all: Mapping[str, Mapping[Labels, Any]]) -> None:
        self._all = all

    def collect(self) -> Iterator[Metric]:
        for name, known in self._all.items():
            yield _MAKERS[METRICS[name].kind](METRICS[name], list(known.items()))


def _series(metric: Declared) -> Any:
    return _Histogram(metric.buckets) if metric.kind == "histogram" else _Number()


def _unlabelled(metric: Declared) -> dict[Labels, Any]:
    """A metric without labels has its one series from the start."""
    return {} if metric.labels else {(): _series(metric)}


def _counters(metric: Declared, known: Sequence[tuple[Labels, _Number]]) -> Metric:
    family = CounterMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    for labels, series in known:
        family.add_metric(labels, series.value)
    return family


def _gauges(metric: Declared, known: Sequence[tuple[Labels, _Number]]) -> Metric:
    family = GaugeMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    for labels, series in known:
        family.add_metric(labels, series.value)
    return family


def _histograms(metric: Declared, known: Sequence[tuple[Labels, _Histogram]]) -> Metric:
    family = HistogramMetricFamily(PREFIX + metric.name, metric.help, labels=metric.labels)
    bounds = (*map(floatToGoString, metric.buckets), "+Inf")
    for labels, series in known:
        family.add_metric(labels, list(zip(bounds, accumulate(series.counts), strict=True)), series.sum)
    return family


_MAKERS: Mapping[str, Callable[[Declared, Any], Metric]] = {
    "counter": _counters,
    "gauge": _gauges,
    "histogram": _histograms,
}
