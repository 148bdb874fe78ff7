"""The in-memory twin of the metrics: as strict as the real ones, and readable."""

from collections import defaultdict

from domain.metrics import declared

Series = tuple[str, frozenset[tuple[str, str]]]


class MemoryMetrics:
    """Implements Metrics. Keeps everything, so it is for tests and short runs."""

    def __init__(self) -> None:
        self._values: defaultdict[Series, float] = defaultdict(float)
        self._observed: defaultdict[Series, list[float]] = defaultdict(list)

    def count(self, name: str, n: float = 1, /, **labels: str) -> None:
        self._values[_series(name, "counter", labels)] += n

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        self._observed[_series(name, "histogram", labels)].append(value)

    def gauge(self, name: str, value: float, /, **labels: str) -> None:
        self._values[_series(name, "gauge", labels)] = value

    def value(self, name: str, /, **labels: str) -> float:
        """Of a counter or gauge: the sum over the series that carry these labels."""
        wanted = set(labels.items())
        return sum(value for (found, own), value in self._values.items() if found == name and wanted <= own)

    def observed(self, name: str, /, **labels: str) -> list[float]:
        """What a histogram saw, over the series that carry these labels."""
        wanted = set(labels.items())
        return [
            value
            for (found, own), values in self._observed.items()
            if found == name and wanted <= own
            for value in values
        ]


def _series(name: str, kind: str, labels: dict[str, str]) -> Series:
    declared(name, kind, frozenset(labels))
    return name, frozenset(labels.items())
