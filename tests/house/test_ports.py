"""Every port has its implementations, with the port's own words: same methods, same parameters."""

import inspect
from importlib import import_module
from typing import Any, Protocol

import pytest

from domain import ports

IMPLEMENTATIONS = {
    "Ledger": (
        "connectors.memory.ledger:MemoryLedger",
        "connectors.postgres.ledger:PostgresLedger",
        "connectors.metered:MeteredLedger",
    ),
    "Jobs": ("connectors.memory.jobs:MemoryJobs", "connectors.postgres.jobs:PostgresJobs"),
    "Letters": ("connectors.memory.letters:MemoryLetters", "connectors.postgres.letters:PostgresLetters"),
    "Queues": ("connectors.memory.queues:MemoryQueues", "connectors.postgres.queues:PostgresQueues"),
    "Originals": ("connectors.memory.broker:MemoryOriginals", "connectors.kafka.originals:KafkaOriginals"),
    "Accounts": ("connectors.memory.accounts:MemoryAccounts", "connectors.postgres.accounts:PostgresAccounts"),
    "Limiter": (
        "connectors.memory.limiter:MemoryLimiter",
        "connectors.redis.limiter:RedisLimiter",
        "connectors.metered:MeteredLimiter",
    ),
    "Cache": (
        "connectors.memory.cache:MemoryCache",
        "connectors.redis.cache:RedisCache",
        "connectors.tiered:TieredCache",
    ),
    "ContentFilter": ("connectors.memory.content_filter:BlocklistFilter",),
    "Chunks": ("connectors.memory.chunks:MemoryChunks", "connectors.redis.chunks:RedisChunks"),
    "Decoder": ("domain.sources.decoding:JsonDecoder", "connectors.registry.decoder:RegistryDecoder"),
    "Documents": (
        "connectors.memory.documents:MemoryDocuments",
        "connectors.documents.addressed:AddressedDocuments",
        "connectors.documents.http:HttpDocuments",
        "connectors.documents.s3:S3Documents",
    ),
    "HealthBoard": ("connectors.memory.health:MemoryHealthBoard", "connectors.redis.health:RedisHealthBoard"),
    "Pacer": (
        "connectors.memory.pacer:MemoryPacer",
        "connectors.redis.pacer:RedisPacer",
        "connectors.careful:CarefulPacer",
    ),
    "Schemas": ("connectors.memory.schemas:MemorySchemas", "connectors.postgres.schemas:PostgresSchemas"),
    "Bill": ("connectors.memory.auditing:MemoryBill", "connectors.clickhouse.bill:ClickHouseBill"),
    "Books": ("connectors.memory.auditing:MemoryBooks", "connectors.postgres.books:PostgresBooks"),
    "Exporter": ("connectors.memory.exporter:MemoryExporter", "connectors.clickhouse.exporter:ClickHouseExporter"),
    "ExportJobs": ("connectors.memory.exports:MemoryExportJobs", "connectors.postgres.exports:PostgresExportJobs"),
    "ExportSchedules": (
        "connectors.memory.exports:MemoryExportSchedules",
        "connectors.postgres.exports:PostgresExportSchedules",
    ),
    "Files": ("connectors.memory.exports:MemoryFiles", "connectors.s3.client:S3"),
    "SinkBoard": (
        "connectors.memory.sink_board:MemorySinkBoard",
        "connectors.postgres.sink_board:PostgresSinkBoard",
    ),
    "StreamBook": (
        "connectors.memory.stream_book:MemoryStreamBook",
        "connectors.postgres.stream_book:PostgresStreamBook",
    ),
    "BatchSource": ("connectors.memory.broker:MemorySource", "connectors.kafka.consumer:BatchConsumer"),
    "Endpoints": ("connectors.memory.webhooks:MemoryEndpoints", "connectors.postgres.endpoints:PostgresEndpoints"),
    "Deliveries": ("connectors.memory.webhooks:MemoryDeliveries", "connectors.postgres.deliveries:PostgresDeliveries"),
    "Outlet": ("connectors.memory.webhooks:MemoryOutlet", "connectors.webhook.outlet:HttpOutlet"),
    "SimilarAnswers": (
        "connectors.memory.similar:MemorySimilarAnswers",
        "connectors.postgres.similar:PostgresSimilarAnswers",
    ),
    "Embedder": (
        "connectors.memory.embedder:MemoryEmbedder",
        "connectors.llm.embeddings:ApiEmbedder",
        "connectors.llm.local_embeddings:LocalEmbedder",
    ),
    "Trail": ("connectors.memory.trail:MemoryTrail", "connectors.postgres.trail:PostgresTrail"),
    "Replies": ("connectors.memory.replies:MemoryReplies", "connectors.redis.replies:RedisReplies"),
}
PAIRS = [(port, place) for port, places in IMPLEMENTATIONS.items() for place in places]


def methods(kind: type) -> dict[str, Any]:
    return {name: member for name, member in vars(kind).items() if inspect.isfunction(member) and name[0] != "_"}


@pytest.mark.parametrize(("port", "place"), PAIRS)
def test_an_implementation_has_the_methods_and_parameters_of_its_port(port: str, place: str) -> None:
    module, _, name = place.partition(":")
    kind = getattr(import_module(module), name)
    for method, wanted in methods(getattr(ports, port)).items():
        found = getattr(kind, method, None)
        assert found is not None, f"{place} lacks {method}"
        assert list(inspect.signature(found).parameters) == list(inspect.signature(wanted).parameters), method


def test_ports_say_what_they_are_for() -> None:
    for name, kind in vars(ports).items():
        if inspect.isclass(kind) and kind.__module__.startswith(ports.__name__) and issubclass(kind, Protocol):  # type: ignore[arg-type]
            assert inspect.getdoc(kind), name
