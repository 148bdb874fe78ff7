"""How far a sink is behind, for /metrics."""

import asyncio

from domain.errors import Transient
from domain.metrics import Metrics
from domain.ports import BatchSource

EVERY_S = 2.0


async def watch_lag(source: BatchSource, metrics: Metrics, every_s: float = EVERY_S) -> None:
    """Set the gauge of each partition until cancelled; while the broker is away it keeps its last value."""
    while True:
        await asyncio.sleep(every_s)
        try:
            lag = await source.lag()
        except Transient:
            continue
        for (topic, partition), records in lag.items():
            metrics.gauge("consumer_lag", records, topic=topic, partition=str(partition))
