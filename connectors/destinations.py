"""Settings -> the connectors of the process that delivers to tenants. Beside the catalog: it needs few of them."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date, timedelta

from connectors.kafka import security
from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.producer import KafkaProducer
from connectors.postgres.deliveries import PostgresDeliveries
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.partitions import ensure_partitions
from connectors.postgres.pool import Pool, connect
from connectors.postgres.sink_board import PostgresSinkBoard
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.webhook.outlet import HttpOutlet
from domain.settings import Settings
from topics.table import EVENTS, RESULTS

ROWS = 2_000
INTERVAL_S = 0.2
"""A result is delivered within a second: batches are short."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """`source` is closed by who reads it, everything else by `stack`."""

    settings: Settings
    stack: AsyncExitStack
    pool: Pool
    source: BatchConsumer
    producer: KafkaProducer
    outlet: HttpOutlet
    metrics: PrometheusMetrics
    endpoints: PostgresEndpoints
    deliveries: PostgresDeliveries

    @property
    def board(self) -> PostgresSinkBoard:
        """Orders to pause or replay, and what this process reports."""
        return PostgresSinkBoard(self.pool)

    async def sweep(self, today: date) -> None:
        """Make the days ahead and forget those that are over. Raises Unavailable."""
        await ensure_partitions(self.pool, today)
        await self.deliveries.sweep(today - timedelta(days=self.settings.delivery_days))


async def connect_destinations(settings: Settings) -> Destinations:
    """Nothing is asked of anybody yet."""
    stack = AsyncExitStack()
    pool = await connect(settings.database_url.get_secret_value(), settings.database_pool)
    stack.push_async_callback(pool.close)
    connection = security.librdkafka(settings)
    producer = KafkaProducer(connection, prefix=settings.topic_prefix)
    stack.push_async_callback(producer.close)
    outlet = HttpOutlet(settings.webhook_networks, settings.deliveries_in_flight)
    stack.push_async_callback(outlet.close)
    source = BatchConsumer(
        connection, (RESULTS, EVENTS), "structured-prompt.sink-destinations", Bounds(rows=ROWS, seconds=INTERVAL_S),
        prefix=settings.topic_prefix, instance=settings.worker_name,
    )  # fmt: skip
    endpoints, deliveries = PostgresEndpoints(pool), PostgresDeliveries(pool)
    return Destinations(
        settings, stack, pool, source, producer, outlet, PrometheusMetrics(), endpoints, deliveries
    )  # fmt: skip
