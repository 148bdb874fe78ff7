"""Settings -> built connectors: the one file that names them all. Each main.py takes from here what it needs."""

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from pathlib import Path

from connectors.careful import CarefulPacer
from connectors.documents.addressed import AddressedDocuments
from connectors.kafka import security
from connectors.kafka.changes import KafkaChanges
from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.originals import KafkaOriginals
from connectors.kafka.producer import KafkaProducer
from connectors.llm.embeddings import ApiEmbedder
from connectors.llm.litellm import foreign
from connectors.llm.local_embeddings import LocalEmbedder
from connectors.llm.router import RoutedModel
from connectors.memory.cache import MemoryCache
from connectors.memory.content_filter import BlocklistFilter
from connectors.memory.pacer import MemoryPacer
from connectors.metered import MeteredLedger, MeteredLimiter, MeteredProducer
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.budgets import PostgresBudgets
from connectors.postgres.deliveries import PostgresDeliveries
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.jobs import PostgresJobs
from connectors.postgres.lanes import PostgresFlights
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.letters import PostgresLetters
from connectors.postgres.partitions import ensure_partitions, sweep
from connectors.postgres.pool import Pool, connect
from connectors.postgres.queues import PostgresQueues
from connectors.postgres.schemas import PostgresSchemas
from connectors.postgres.similar import PostgresSimilarAnswers
from connectors.postgres.similar import lacking as lacking_similar
from connectors.postgres.similar import sweep as sweep_similar
from connectors.postgres.sink_board import PostgresSinkBoard
from connectors.postgres.trail import PostgresTrail
from connectors.redis.cache import RedisCache
from connectors.redis.chunks import RedisChunks
from connectors.redis.client import RedisClient
from connectors.redis.health import RedisHealthBoard
from connectors.redis.limiter import RedisLimiter
from connectors.redis.pacer import RedisPacer
from connectors.redis.replies import RedisReplies
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.tiered import TieredCache
from domain.admission.prepare import Preparer
from domain.errors import InvalidSettings
from domain.ports import ContentFilter, Embedder, Model
from domain.prompting.library import Library
from domain.routing import embeddings
from domain.routing.catalogue import Catalogue, environment_names
from domain.safety.blocklist import Blocklist
from domain.schemas.book import Book, Find
from domain.schemas.model import SchemaRef, SchemaVersion
from domain.settings import Settings
from topics.table import DEAD_LETTERS

SHIPPED_TEMPLATES = Path(__file__).parent.parent / "domain" / "prompting" / "library"
SHIPPED_MODELS = Path(__file__).parent.parent / "domain" / "routing" / "models.yaml"
NEAR_TTL = timedelta(seconds=60)
FORGET_IDS = timedelta(days=11)
"""Longer than a record may be old (HORIZON of intake), which is longer than input topics keep it."""
FORGET_RESULTS = timedelta(days=31)


def utc_now() -> datetime:
    """The clock of every process."""
    return datetime.now(UTC)


def catalogue(settings: Settings, environ: Mapping[str, str]) -> Catalogue:
    """The models this process may call. Raises InvalidSettings."""
    if settings.simulated_provider_url:
        return Catalogue.simulated(settings.simulated_provider_url)
    beyond, text = foreign() if settings.litellm else None, _models_file(settings)
    return Catalogue.load(text, with_key_files(environ, environment_names(text)), beyond)


def _models_file(settings: Settings) -> str:
    path = Path(settings.models) if settings.models else SHIPPED_MODELS
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"STRUCTURED_PROMPT_MODELS: cannot read {path}: {error}") from error


def embedder(settings: Settings, environ: Mapping[str, str]) -> Embedder | None:
    """What turns texts into vectors, None where nothing can. Raises InvalidSettings, MissingExtra."""
    name = settings.embeddings
    if name == "none":
        return None
    if name is not None and name.startswith("local/"):
        return LocalEmbedder(embeddings.local(name.removeprefix("local/")), settings.embeddings_timeout_s)
    if settings.simulated_provider_url:
        available = [embeddings.simulated(settings.simulated_provider_url)]
    else:
        text = _models_file(settings)
        available = embeddings.embeddings(text, with_key_files(environ, environment_names(text)))
    found = embeddings.chosen(available, name)
    return None if found is None else ApiEmbedder(found, settings.embeddings_timeout_s)


def with_key_files(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """`environ`, with each of `names` from the file that NAME_FILE names. Raises InvalidSettings."""
    found, problems = dict(environ), []
    for name in sorted(names):
        if path := environ.get(f"{name}_FILE"):
            try:
                found[name] = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}_FILE: cannot read {path}: {error}")
    if problems:
        raise InvalidSettings("these settings are wrong:\n  " + "\n  ".join(problems))
    return found


def preparer(settings: Settings, models: Catalogue, find: Find) -> Preparer:
    """What the door and intake prepare requests with. Raises InvalidSettings."""
    directories = [SHIPPED_TEMPLATES, *([Path(settings.templates)] if settings.templates else [])]
    return Preparer(
        Library.load(directories), models, Book(find, time.monotonic), settings.places, settings.webhook_networks
    )


def content_filter(settings: Settings) -> ContentFilter | None:
    """What intake shows prompts to, None where nothing is filtered. Raises InvalidSettings."""
    if settings.content_filter is not None:
        return _plugged_in(settings.content_filter)
    if settings.blocklist is None:
        return None
    try:
        text = Path(settings.blocklist).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSettings(f"STRUCTURED_PROMPT_BLOCKLIST: cannot read {settings.blocklist}: {error}") from error
    return BlocklistFilter(Blocklist.parse(text))


def _plugged_in(place: str) -> ContentFilter:
    module, _, factory = place.partition(":")
    try:
        found: ContentFilter = getattr(import_module(module), factory)()
    except (ImportError, AttributeError, TypeError) as error:
        raise InvalidSettings(f"STRUCTURED_PROMPT_CONTENT_FILTER: cannot make {place}: {error}") from error
    return found


async def find_schemas(url: str, wanted: Sequence[SchemaRef]) -> list[SchemaVersion | None]:
    """For a process that has no connection of its own. Raises Unavailable."""
    pool = await connect(url, 1)
    try:
        return await PostgresSchemas(pool).find(wanted)
    finally:
        await pool.close()


@dataclass(slots=True)
class Outside:
    """Connections of one process, opened in its event loop and closed in reverse by `stack.aclose()`."""

    settings: Settings
    metrics: PrometheusMetrics
    stack: AsyncExitStack
    pool: Pool
    redis: RedisClient
    kafka: KafkaProducer
    producer: MeteredProducer
    ledger: MeteredLedger

    @property
    def jobs(self) -> PostgresJobs:
        return PostgresJobs(self.pool)

    @property
    def letters(self) -> PostgresLetters:
        return PostgresLetters(self.pool)

    @property
    def schemas(self) -> PostgresSchemas:
        return PostgresSchemas(self.pool)

    @property
    def sinks(self) -> PostgresSinkBoard:
        return PostgresSinkBoard(self.pool)

    @property
    def similar(self) -> PostgresSimilarAnswers:
        return PostgresSimilarAnswers(self.pool)

    @property
    def queues(self) -> PostgresQueues:
        return PostgresQueues(self.pool)

    @property
    def budgets(self) -> PostgresBudgets:
        return PostgresBudgets(self.pool)

    @property
    def endpoints(self) -> PostgresEndpoints:
        return PostgresEndpoints(self.pool)

    @property
    def deliveries(self) -> PostgresDeliveries:
        return PostgresDeliveries(self.pool)

    @property
    def originals(self) -> KafkaOriginals:
        return KafkaOriginals(security.librdkafka(self.settings))

    def letter_source(self) -> BatchConsumer:
        """prompt.dead-letters, read by all wake processes together."""
        connection, bounds = security.librdkafka(self.settings), Bounds(rows=200)
        group, prefix = "structured-prompt.dead-letters", self.settings.topic_prefix
        return BatchConsumer(
            connection, [DEAD_LETTERS], group, bounds, prefix=prefix, instance=self.settings.worker_name
        )

    def changes(self) -> KafkaChanges:
        """prompt.control, for one reader."""
        changes = KafkaChanges(security.librdkafka(self.settings), self.settings.topic_prefix)
        self.stack.push_async_callback(changes.close)
        return changes

    @property
    def accounts(self) -> PostgresAccounts:
        return PostgresAccounts(self.pool)

    @property
    def flights(self) -> PostgresFlights:
        return PostgresFlights(self.pool)

    @property
    def limiter(self) -> MeteredLimiter:
        return MeteredLimiter(RedisLimiter(self.redis, self.flights), self.metrics)

    @property
    def health(self) -> RedisHealthBoard:
        return RedisHealthBoard(self.redis)

    @property
    def pacer(self) -> CarefulPacer:
        return CarefulPacer(RedisPacer(self.redis), MemoryPacer())

    @property
    def replies(self) -> RedisReplies:
        return RedisReplies(self.redis)

    @property
    def chunks(self) -> RedisChunks:
        return RedisChunks(self.redis)

    @property
    def far_cache(self) -> RedisCache:
        return RedisCache(self.redis)

    def near_and_far_cache(self) -> TieredCache:
        near = MemoryCache(self.settings.cache_memory_mb * 1024 * 1024)
        return TieredCache(near, self.far_cache, NEAR_TTL, lambda _: self.metrics.count("cache_errors"))

    async def upkeep(self, today: date) -> None:
        """Make the day partitions ahead and forget what is past its time (rule L4). Raises Unavailable."""
        await ensure_partitions(self.pool, today)
        await sweep(self.pool, today - FORGET_IDS, today - FORGET_RESULTS)
        await sweep_similar(self.pool)
        await PostgresTrail(self.pool).forget(_day(today) - timedelta(days=self.settings.audit_days))

    async def without_similar(self) -> str | None:
        """Why nothing is known in other words, None where it can be. Raises Unavailable."""
        return await lacking_similar(self.pool)

    def documents(self) -> AddressedDocuments:
        """What requests refer to. Raises MissingExtra for buckets without their client."""
        documents = AddressedDocuments(self.settings.fetch_networks, buckets=self.settings.places.buckets)
        self.stack.push_async_callback(documents.close)
        return documents

    def model(self, models: Catalogue) -> Model:
        """The adapters; LiteLLM is imported now where the catalogue needs it, never at the first call."""
        model = RoutedModel(models.needs_litellm)
        self.stack.push_async_callback(model.close)
        return model


async def connect_all(
    settings: Settings, metrics: PrometheusMetrics, name: str, produce_timeout: float = 20.0
) -> Outside:
    """Connect what every process of ours needs. `name` is the process's in metrics, `produce_timeout` in seconds."""
    stack = AsyncExitStack()
    pool = await connect(settings.database_url.get_secret_value(), settings.database_pool)
    stack.push_async_callback(pool.close)
    redis = RedisClient(settings.redis_url.get_secret_value())
    stack.push_async_callback(redis.close)
    kafka = KafkaProducer(security.librdkafka(settings), produce_timeout, settings.topic_prefix)
    stack.push_async_callback(kafka.close)
    producer = MeteredProducer(kafka, metrics, name)
    ledger = MeteredLedger(PostgresLedger(pool), metrics, name)
    return Outside(settings, metrics, stack, pool, redis, kafka, producer, ledger)


def _day(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
