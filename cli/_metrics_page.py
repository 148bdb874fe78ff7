"""docs/metrics.md, from the closed list of domain/metrics.py."""

from domain.metrics import METRICS, Metric

HEAD = """\
# Metrics

Generated from `domain/metrics.py` by `make docs`; do not edit.

Every process answers `/metrics`. Labels are few: never a tenant, a request or a key, those are questions for
[ClickHouse](queries.md). Times are seconds; a histogram has `_bucket`, `_sum` and `_count`. Prometheus adds `process`
and `instance`. [Monitoring](monitoring.md) tells what is made of them.

| metric | kind | labels | what it says |
| --- | --- | --- | --- |
"""


def page() -> str:
    """The whole page."""
    return HEAD + "\n".join(_row(metric) for metric in METRICS.values()) + "\n"


def _row(metric: Metric) -> str:
    labels = " ".join(f"`{label}`" for label in metric.labels) or "–"
    return f"| `{metric.wire_name}` | {metric.kind} | {labels} | {metric.help} |"
