"""Settings -> the connectors of a sink's process. Beside the catalog: a sink needs few of them and stays small."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from pydantic import SecretStr

from connectors.clickhouse.bill import ClickHouseBill
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.sink import ClickHouseSink
from connectors.consenting import Consenting
from connectors.kafka import security
from connectors.kafka.ahead import BOUNDS, Bounds
from connectors.kafka.consumer import BatchConsumer
from connectors.kafka.exact import ExactConsumer
from connectors.kafka.producer import KafkaProducer
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.books import PostgresBooks
from connectors.postgres.pool import Pool, connect
from connectors.postgres.sink_board import PostgresSinkBoard
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.withholding import Withholding
from domain.errors import InvalidSettings
from domain.ports import Bill, Books, Sink
from domain.safety.withholding import withheld
from domain.settings import Settings

Value = TypeVar("Value")
MIB = 1024 * 1024


def _clickhouse(settings: Settings) -> Sink:
    return ClickHouseSink(ClickHouse(settings.clickhouse_url.get_secret_value()))


def _postgres(settings: Settings) -> Sink:
    from connectors.postgres.sink import SETTING, PostgresSink

    return PostgresSink(_given(settings.sink_postgres_url, SETTING).get_secret_value())


def _kafka(settings: Settings) -> Sink:
    from connectors.kafka.mirror import SETTINGS, KafkaMirror

    given = _given(settings.sink_kafka, SETTINGS + "BOOTSTRAP_SERVERS")
    names = ("security_protocol", "sasl_mechanism", "sasl_username", "sasl_password", "sasl_token_url", "sasl_scope",
             "ssl_cafile", "ssl_certfile", "ssl_keyfile")  # fmt: skip
    other = {f"kafka_{name}": getattr(settings, f"sink_kafka_{name}") for name in names}
    connection = security.librdkafka(settings.model_copy(update={**other, "kafka": given}), SETTINGS)
    return KafkaMirror(KafkaProducer(connection, prefix=settings.sink_kafka_topic_prefix))


def _s3(settings: Settings) -> Sink:
    from connectors.s3.client import S3, Bucket
    from connectors.s3.formats import FORMATS
    from connectors.s3.sink import S3Sink

    store = S3(Bucket(*_bucket(settings)))
    return S3Sink(store, FORMATS[settings.sink_s3_format](), settings.sink_s3_prefix)


async def s3_leftovers(settings: Settings, *, remove: bool) -> list[str]:
    """Objects of the S3 sink that no manifest names though others hold their rows; removed where that is asked.

    Raises InvalidSettings without a bucket, MissingExtra, Unavailable.
    """
    from connectors.s3.client import S3, Bucket
    from connectors.s3.leftovers import Leftovers

    store = S3(Bucket(*_bucket(settings)))
    try:
        await store.open()
        leftovers = Leftovers(store, settings.sink_s3_prefix)
        found = await leftovers.find()
        if remove:
            await leftovers.remove(found)
    finally:
        await store.close()
    return found


def _bucket(settings: Settings) -> tuple[str, str | None, str | None, str | None, str | None]:
    return (
        _given(settings.sink_s3_bucket, "STRUCTURED_PROMPT_SINK_S3_BUCKET"),
        settings.sink_s3_endpoint,
        settings.sink_s3_region,
        settings.sink_s3_access_key_id,
        _secret(settings.sink_s3_secret_access_key),
    )


def _bigquery(settings: Settings) -> Sink:
    from connectors.google.access import Access
    from connectors.google.streams import Streams
    from connectors.google.tables import REMEDIES, SCOPES, Tables
    from connectors.postgres.stream_book import PostgresStreamBook

    dataset = _given(settings.sink_bigquery_dataset, "STRUCTURED_PROMPT_SINK_BIGQUERY_DATASET")
    access = Access(
        settings.sink_bigquery_endpoint, _secret(settings.sink_bigquery_credentials), SCOPES, "bigquery", REMEDIES
    )
    streams = Streams(access.credentials, settings.sink_bigquery_write_endpoint)
    # after what says which extra is missing: it needs the same one to be imported
    from connectors.google.bigquery import BigQuerySink

    book = PostgresStreamBook(settings.database_url.get_secret_value())
    return BigQuerySink(f"bigquery {dataset}", Tables(access, dataset), streams, book)


def _sheets(settings: Settings) -> Sink:
    from connectors.google.access import Access
    from connectors.google.sheets import SheetsSink
    from connectors.google.spreadsheet import REMEDIES, SCOPES, Spreadsheet

    id = _given(settings.sink_sheets_spreadsheet, "STRUCTURED_PROMPT_SINK_SHEETS_SPREADSHEET")
    key = _secret(settings.sink_sheets_credentials)
    access = Access(settings.sink_sheets_endpoint, key, SCOPES, "sheets", REMEDIES)
    return SheetsSink(Spreadsheet(access, id, settings.sink_sheets_tab))


def _snowflake(settings: Settings) -> Sink:
    from connectors.snowflake.client import Account, Snowflake
    from connectors.snowflake.sink import SnowflakeSink

    own = "STRUCTURED_PROMPT_SINK_SNOWFLAKE_"
    account = Account(
        _given(settings.sink_snowflake_account, own + "ACCOUNT"),
        _given(settings.sink_snowflake_user, own + "USER"),
        _given(settings.sink_snowflake_database, own + "DATABASE"),
        settings.sink_snowflake_schema,
        settings.sink_snowflake_warehouse,
        settings.sink_snowflake_role,
        _secret(settings.sink_snowflake_private_key),
        _secret(settings.sink_snowflake_password),
        settings.sink_snowflake_endpoint,
    )
    return SnowflakeSink(Snowflake(account))


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None


def _given(value: Value | None, name: str) -> Value:
    if value is None:
        raise InvalidSettings(f"{name}: is required by this sink; see docs/sinks.md")
    return value


def _whose_answers(sink: Sink, settings: Settings) -> Sink:
    if settings.sink_answers == "all":
        return sink

    async def agreed() -> frozenset[str]:
        if settings.sink_answers == "none":
            return frozenset()
        async with _ledger(settings) as pool:
            return frozenset(tenant.name for tenant in await PostgresAccounts(pool).tenants() if tenant.store_answers)

    return Consenting(sink, agreed)


@dataclass(frozen=True, slots=True)
class Kind:
    """A sink that settings may ask for.

    ways, ordered, at_once:  as agents.deliver.policy says
    consented:      answers are taken out by STRUCTURED_PROMPT_SINK_ANSWERS (ClickHouse does that by itself)
    exact:          batches come again as they were
    bounds:         of a batch, where the settings say nothing else
    """

    make: Callable[[Settings], Sink]
    ways: int = 1
    ordered: bool = True
    consented: bool = False
    exact: bool = False
    bounds: Bounds = BOUNDS
    at_once: int = 1


SINKS: dict[str, Kind] = {
    "clickhouse": Kind(_clickhouse, at_once=2),
    "postgres": Kind(_postgres, ways=2, ordered=False, consented=True, bounds=Bounds(5_000, 4 * MIB)),
    "kafka": Kind(_kafka, consented=True, bounds=Bounds(5_000, 4 * MIB)),
    "s3": Kind(_s3, ways=8, consented=True, exact=True, bounds=Bounds(5_000, 2 * MIB, 60.0, ahead=0.1)),
    "bigquery": Kind(_bigquery, consented=True, exact=True, bounds=Bounds(5_000, 4 * MIB, 5.0)),
    "snowflake": Kind(_snowflake, consented=True, bounds=Bounds(10_000, 8 * MIB, 30.0, ahead=0.1)),
    "sheets": Kind(_sheets, consented=True, bounds=Bounds(1_000, MIB, 5.0)),
}
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
    at_once: int


def sink_parts(settings: Settings, name: str) -> SinkParts:
    """The parts of the sink `name`. Raises InvalidSettings when there is no such sink."""
    if name not in SINKS:
        raise InvalidSettings(f"there is no sink {name!r}; the sinks are: {', '.join(sorted(SINKS))}")
    kind = SINKS[name]
    sink = kind.make(settings)
    if kind.consented:
        sink = _whose_answers(sink, settings)
    if held := withheld(name, settings.sink_withhold, settings.sink_redact):
        sink = Withholding(sink, held)
    connection = security.librdkafka(settings)
    source = (ExactConsumer if kind.exact else BatchConsumer)(
        connection,
        sink.topics,
        f"structured-prompt.sink-{name}",
        _bounds(settings, kind.bounds),
        prefix=settings.topic_prefix,
        instance=settings.worker_name,
    )
    producer = KafkaProducer(connection, prefix=settings.topic_prefix)
    return SinkParts(source, sink, producer, PrometheusMetrics(), kind.ways, kind.ordered, kind.at_once)


def _bounds(settings: Settings, usual: Bounds) -> Bounds:
    given = settings.model_fields_set
    return Bounds(
        settings.sink_rows if "sink_rows" in given else usual.rows,
        settings.sink_mb * MIB if "sink_mb" in given else usual.size,
        settings.sink_interval_s if "sink_interval_s" in given else usual.seconds,
        usual.ahead,
    )


@asynccontextmanager
async def connect_board(settings: Settings) -> AsyncIterator[PostgresSinkBoard]:
    """Orders and reports of sinks; PostgreSQL is first asked by the first call."""
    async with _ledger(settings) as pool:
        yield PostgresSinkBoard(pool)


@asynccontextmanager
async def connect_audit(settings: Settings) -> AsyncIterator[tuple[Books, Bill]]:
    """Both sides of the bill; neither engine is asked before the first call."""
    async with _ledger(settings) as pool, ClickHouse(settings.clickhouse_url.get_secret_value()) as clickhouse:
        yield PostgresBooks(pool), ClickHouseBill(clickhouse)


@asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[Pool]:
    pool = await connect(settings.database_url.get_secret_value(), 1)
    try:
        yield pool
    finally:
        await pool.close()
