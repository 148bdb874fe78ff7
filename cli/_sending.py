"""Requests onto Kafka, and their results back: from the topic, and from the ledger for what is not produced again."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson

from cli._target import Target
from connectors.kafka import security
from connectors.kafka.producer import KafkaProducer
from connectors.kafka.tail import Tail
from connectors.postgres.jobs import PostgresJobs
from connectors.postgres.pool import Pool, connect
from domain.errors import Unavailable
from domain.ports import Item, Record
from topics import headers
from topics.base import format_time
from topics.codec import Read, body_hash, request_hash
from topics.table import DEAD_LETTERS, REQUESTS, RESULTS

_BATCH = 500
_QUIET_S = 1.0
_LOOK_S = 1.0
_LOOK_AT = 1_000


@dataclass(slots=True)
class Waiting:
    """Requests without a result yet, by (tenant, id), with the hash of their body."""

    hashes: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, read: Read) -> bool:
        """False, and the first one is waited for, where another body had its id: an id is one request."""
        name, hash = (read.request.tenant, read.request.id), request_hash(body_hash(read.fields))
        return self.hashes.setdefault(name, hash) == hash

    def take(self, item: Item) -> dict[str, Any] | None:
        """The result or dead letter in a record, if somebody waits for it."""
        if b'"id":' not in item.value:
            return None
        row: dict[str, Any] = orjson.loads(item.value)
        if item.topic == DEAD_LETTERS and row["stage"] != "intake":
            return None  # its result comes too
        return row if self.hashes.pop((row.get("tenant"), row.get("id")), None) else None  # type: ignore[arg-type]


async def send(target: Target, requests: Iterable[tuple[Read, bytes]], sent: Callable[[int], None]) -> int:
    """Publish; `sent` hears of each batch the broker has acknowledged. Returns how many. Raises Unavailable."""
    producer = KafkaProducer(security.librdkafka(target.settings), prefix=target.settings.topic_prefix)
    total, source = 0, iter(requests)
    try:
        while batch := list(islice(source, _BATCH)):
            now = format_time(datetime.now(UTC))
            await producer.send([_record(read, raw, now) for read, raw in batch])
            total += len(batch)
            sent(len(batch))
    except Unavailable as error:
        again = "send the file again: ids that arrived are not worked on twice (rows without an id get a new one)"
        raise Unavailable(f"{total} requests were sent, then: {error}; {again}") from error
    finally:
        await producer.close()
    return total


def _record(read: Read, raw: bytes, now: str) -> Record:
    id = headers.request_id(read.request.tenant, read.request.id)
    return Record(REQUESTS, raw, None, headers.REQUEST.headers(id, now))


class Results:
    """Listens from the moment it is built, so build it before sending."""

    def __init__(self, target: Target) -> None:
        self._target = target
        settings = target.settings
        self._stack = ExitStack()
        self._tail = Tail(security.librdkafka(settings), [RESULTS, DEAD_LETTERS], None, settings.topic_prefix)
        self._stack.callback(self._tail.close)

    def __enter__(self) -> "Results":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, waiting: Waiting, seconds: float | None = None) -> Iterator[dict[str, Any]]:
        """One row a request, result or dead letter, until none is missing or the time is over."""
        deadline = None if seconds is None else time.monotonic() + seconds
        heard = looked = time.monotonic()
        while waiting.hashes and (deadline is None or time.monotonic() < deadline):
            for item in self._tail.read(0.2 if len(waiting.hashes) > 1 else 0.02):
                row = waiting.take(item)
                if row is not None:
                    heard = time.monotonic()
                    yield row
            now = time.monotonic()
            if now - heard > _QUIET_S and now - looked > _LOOK_S:
                yield from asyncio.run(self._stored(waiting))
                looked = time.monotonic()

    async def _stored(self, waiting: Waiting) -> list[dict[str, Any]]:
        """Repeats of completed requests produce nothing: their result is in the ledger."""
        pool = await connect(self._target.settings.database_url.get_secret_value(), 1)
        try:
            return await _look(pool, waiting)
        finally:
            await pool.close()


async def _look(pool: Pool, waiting: Waiting) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    asked: dict[str, list[str]] = {}
    for tenant, id in list(waiting.hashes)[:_LOOK_AT]:
        asked.setdefault(tenant, []).append(id)
    for tenant, ids in asked.items():
        for view in await PostgresJobs(pool).view(tenant, ids):
            row = orjson.loads(view.result) if view.result else None
            # an earlier run of another body is not the answer
            if row and row["request_hash"] == waiting.hashes[tenant, view.id]:
                del waiting.hashes[tenant, view.id]
                found.append(row)
    return found
