"""Settings -> the connectors of a sink's process. Beside the catalog: a sink needs few of them and stays small."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.sink import ClickHouseSink
from connectors.kafka import security
from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.producer import KafkaProducer
from connectors.postgres.pool import connect
from connectors.postgres.sink_board import PostgresSinkBoard
from connectors.telemetry.metrics import PrometheusMetrics
from domain.errors import InvalidSettings
from domain.ports import Sink
from domain.settings import Settings


def _clickhouse(settings: Settings) -> Sink:
    return ClickHouseSink(ClickHouse(settings.clickhouse_url.get_secret_value()))


@dataclass(frozen=True, slots=True)
class Kind:
    """A sink that settings may ask for. `ways` and `ordered` as agents.deliver.policy says."""

    make: Callable[[Settings], Sink]
    ways: int = 1
    ordered: bool = True


SINKS: dict[str, Kind] = {"clickhouse": Kind(_clickhouse)}
"""The operator's sinks, by the name `structured-prompt sink NAME` takes."""


@dataclass(frozen=True, slots=True)
class SinkParts:
    """Nothing is connected yet. `source` and `sink` are closed by who uses them, `producer` after both."""

    source: BatchConsumer
    sink: Sink
    producer: KafkaProducer
    metrics: PrometheusMetrics
    ways: int
    ordered: bool


def sink_parts(settings: Settings, name: str) -> SinkParts:
    """The parts of the sink `name`. Raises InvalidSettings when there is no such sink."""
    if name not in SINKS:
        raise InvalidSettings(f"there is no sink {name!r}; the sinks are: {', '.join(sorted(SINKS))}")
    kind = SINKS[name]
    sink = kind.make(settings)
    connection = security.librdkafka(settings)
    source = BatchConsumer(
        connection,
        sink.topics,
        f"structured-prompt.sink-{name}",
        Bounds(settings.sink_rows, settings.sink_mb * 1024 * 1024, settings.sink_interval_s),
        prefix=settings.topic_prefix,
        instance=settings.worker_name,
    )
    producer = KafkaProducer(connection, prefix=settings.topic_prefix)
    return SinkParts(source, sink, producer, PrometheusMetrics(), kind.ways, kind.ordered)


@asynccontextmanager
async def connect_board(settings: Settings) -> AsyncIterator[PostgresSinkBoard]:
    """Orders and reports of sinks; PostgreSQL is first asked by the first call."""
    pool = await connect(settings.database_url.get_secret_value(), 1)
    try:
        yield PostgresSinkBoard(pool)
    finally:
        await pool.close()
