"""Settings -> the connectors of exports into a bucket. Beside the catalog: their process needs few and stays small."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.exporter import ClickHouseExporter
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.exports import PostgresExportJobs, PostgresExportSchedules
from connectors.postgres.pool import connect
from connectors.postgres.sink_board import PostgresSinkBoard
from connectors.telemetry.metrics import PrometheusMetrics
from domain.errors import InvalidSettings
from domain.ports import Files
from domain.settings import Settings


@dataclass(frozen=True, slots=True)
class Exporting:
    """Everything is closed by `stack`."""

    stack: AsyncExitStack
    jobs: PostgresExportJobs
    schedules: PostgresExportSchedules
    sinks: PostgresSinkBoard
    accounts: PostgresAccounts
    exporter: ClickHouseExporter
    files: Files
    metrics: PrometheusMetrics


def bucket_of(settings: Settings) -> Files | None:
    """Where exports go, None where there is no such place. Raises MissingExtra."""
    if settings.export_s3_bucket is None:
        return None
    from connectors.s3.client import S3, Bucket

    secret = settings.export_s3_secret_access_key
    bucket = Bucket(
        settings.export_s3_bucket,
        settings.export_s3_endpoint,
        settings.export_s3_region,
        settings.export_s3_access_key_id,
        secret.get_secret_value() if secret else None,
    )
    return S3(bucket)


async def connect_exports(settings: Settings) -> Exporting:
    """Nothing is asked of anybody yet. Raises InvalidSettings without a bucket, MissingExtra."""
    files = bucket_of(settings)
    if files is None:
        raise InvalidSettings("STRUCTURED_PROMPT_EXPORT_S3_BUCKET: is required by exports; see docs/exports.md")
    stack = AsyncExitStack()
    stack.push_async_callback(files.close)
    pool = await connect(settings.database_url.get_secret_value(), 2)
    stack.push_async_callback(pool.close)
    clickhouse = await stack.enter_async_context(ClickHouse(settings.clickhouse_url.get_secret_value()))
    return Exporting(
        stack, PostgresExportJobs(pool), PostgresExportSchedules(pool), PostgresSinkBoard(pool),
        PostgresAccounts(pool),
        ClickHouseExporter(clickhouse), files, PrometheusMetrics(),
    )  # fmt: skip
