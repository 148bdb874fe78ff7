"""Settings -> the connectors of the process of sources; like that of a sink it needs few of them."""

import os
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors.catalog import utc_now
from connectors.kafka import security
from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.kafka.producer import KafkaProducer
from connectors.postgres.object_book import PostgresObjectBook
from connectors.postgres.pool import connect
from connectors.postgres.sources import PostgresSources
from connectors.registry import avro, protobuf
from connectors.registry.client import SchemaRegistry
from connectors.registry.decoder import RegistryDecoder
from connectors.s3.client import S3, Bucket
from connectors.s3.source import ObjectSource
from connectors.source_file import FollowedFile
from domain.accounts.keys import pepper
from domain.ports import BatchSource, Decoder, SourceStore
from domain.redriving.remapping import Remapping, finder
from domain.settings import Settings
from domain.sources.decoding import JsonDecoder
from domain.sources.model import Source
from domain.sources.objects import Prefix
from topics.table import RESULTS

BOUNDS = Bounds(500, 4 * 1024 * 1024, 0.2)
"""Of one batch: its records are mapped in the loop, and nobody wants to wait for the thousandth."""


@dataclass(frozen=True, slots=True)
class Feed:
    """What is read, under the name that operators pause it by. source: whose records these are, None of results."""

    name: str
    reading: BatchSource
    source: Source | None


@asynccontextmanager
async def connect_store(settings: Settings) -> AsyncIterator[SourceStore]:
    """Those made over HTTP; PostgreSQL is first asked by the first call."""
    pool = await connect(settings.database_url.get_secret_value(), 1)
    try:
        yield PostgresSources(pool)
    finally:
        await pool.close()


def feed(settings: Settings, source: Source) -> Feed:
    """What a source with a topic or a bucket reads. Nothing is connected yet. Raises MissingExtra."""
    name = f"source-{source.name}"
    if source.bucket is not None:
        return Feed(name, _objects(settings, source.name, source.bucket), source)
    group = f"{settings.topic_prefix}structured-prompt.{name}"
    connection, topics = security.librdkafka(settings), [source.topic or ""]
    return Feed(name, BatchConsumer(connection, topics, group, BOUNDS, instance=settings.worker_name), source)


def results(settings: Settings) -> Feed:
    """What is copied to outputs."""
    connection, prefix = security.librdkafka(settings), settings.topic_prefix
    group = "structured-prompt.source-outputs"
    reading = BatchConsumer(connection, [RESULTS], group, BOUNDS, prefix=prefix, instance=settings.worker_name)
    return Feed("source-outputs", reading, None)


def _objects(settings: Settings, name: str, prefix: Prefix) -> ObjectSource:
    """Raises MissingExtra."""
    bucket = Bucket(prefix.bucket, prefix.endpoint, prefix.region, prefix.access_key, prefix.secret_key)
    book = PostgresObjectBook(settings.database_url.get_secret_value())
    member = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
    return ObjectSource(name, prefix, S3(bucket), book, member, utc_now)


def decoder(source: Source) -> Decoder:
    """Raises MissingExtra."""
    format = source.format
    if format.registry is None:
        return JsonDecoder()
    kind = avro if format.name == "avro" else protobuf
    kind.needed()
    return RegistryDecoder(SchemaRegistry(format.registry, format.auth), kind.compile)


def remapping(settings: Settings, environ: Mapping[str, str], store: SourceStore) -> Remapping:
    """Of dead letters of sources; the file is read when one is met."""

    def secret() -> bytes:
        return pepper(settings.key_pepper.get_secret_value())

    return Remapping(finder(lambda: FollowedFile(settings.sources, environ).sources, store, secret), decoder)


def producers(settings: Settings) -> tuple[KafkaProducer, KafkaProducer]:
    """For topics of ours, and for topics of others, whose names are taken as they are."""
    connection = security.librdkafka(settings)
    return KafkaProducer(connection, prefix=settings.topic_prefix), KafkaProducer(connection)
