"""What `cache warm` does."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import typer

from cli._cache_options import Warming
from cli._output import print_error
from cli._rows import Broken, Defaults, Refusal, Row, request, rows
from cli._sending import send
from cli._stack import Stack
from cli._submit import open_rows
from cli._target import Target, find
from cli._time import parse_since
from connectors import catalog
from connectors.kafka import security
from connectors.kafka.changes import KafkaChanges
from connectors.kafka.originals import KafkaOriginals
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.asked import PostgresQuestions
from connectors.postgres.pool import Pool, connect
from connectors.postgres.schemas import PostgresSchemas
from connectors.redis.cache import RedisCache
from connectors.redis.client import RedisClient
from domain.admission.prepare import Origin, Preparer
from domain.caching.asked import Asked, warming
from domain.caching.generations import Generations, cacheable
from domain.errors import InvalidRequest
from domain.forgetting.preload import entry
from topics.call import PromptCall
from topics.codec import Read

PATIENCE_S = 120.0
BATCH = 500


@dataclass(slots=True)
class Work:
    """What is to be done: requests to ask by question, and answers that are known, by the key they are kept under."""

    ask: dict[str, tuple[Read, bytes]] = field(default_factory=dict)
    known: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    refused: list[Refusal] = field(default_factory=list)
    gone: int = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """What it takes to know under which key an answer is kept."""

    preparer: Preparer
    generations: Generations
    ttl_s: int
    tenants: dict[str, int | None]
    now: datetime

    async def call(self, read: Read) -> PromptCall:
        """Raises InvalidRequest, Unavailable."""
        await self.preparer.load((read.request,))
        prepared = self.preparer.prepare(read.request, Origin("", self.now))
        return cacheable(prepared, self.tenants.get(read.request.tenant), self.generations)


def warm(stack: Stack, file: str | None, how: Warming) -> None:
    """See cli.cache.warm. Raises Unavailable, and typer.Exit(1) when a row was refused."""
    target = find(stack)
    tenant = target.tenant_or(how.tenant)
    work = asyncio.run(_plan(target, tenant, file, how))
    if not how.dry_run:
        asyncio.run(_do(target, work))
    verbs = ("would be asked", "would be stored") if how.dry_run else ("asked", "stored")
    print(f"{len(work.ask)} {verbs[0]}, {len(work.known)} {verbs[1]}, {work.gone} not kept by Kafka any more")
    for refusal in work.refused[:20]:
        print_error(f"line {refusal.line}: {refusal.reason}")
    if work.refused:
        raise typer.Exit(1)


async def _plan(target: Target, tenant: str, file: str | None, how: Warming) -> Work:
    pool = await connect(target.settings.database_url.get_secret_value(), 1, PATIENCE_S)
    try:
        work, desk = Work(), await _desk(target, pool)
        if file is not None:
            await _from_file(file, tenant, desk, work)
        if how.top:
            since = parse_since(how.since).astimezone(UTC).date()
            most = await PostgresQuestions(pool).most_asked(tenant, since, how.template, how.top)
            await _from_past(target, most, desk, work)
        return work
    finally:
        await pool.close()


async def _desk(target: Target, pool: Pool) -> Desk:
    settings = target.settings
    models = catalog.catalogue(settings, target.environ)
    generations = Generations(lambda alias: [f"{one.provider}/{one.model}" for one in models.aliases.get(alias, ())])
    changes = KafkaChanges(security.librdkafka(settings), settings.topic_prefix)
    try:
        for message in await changes.so_far():
            generations.hear(message)
    finally:
        await changes.close()
    ttl = {tenant.name: tenant.cache_ttl_s for tenant in await PostgresAccounts(pool).tenants()}
    preparer = catalog.preparer(settings, models, PostgresSchemas(pool).find)
    return Desk(preparer, generations, settings.cache_ttl_s, ttl, datetime.now(UTC))


async def _from_file(file: str, tenant: str, desk: Desk, work: Work) -> None:
    with ExitStack() as opened:
        for row in _rows(file, opened, work):
            has_output = "output" in row.fields
            output = row.fields.pop("output", None)
            ready = request(row, Defaults(tenant=tenant, lane="bulk"))
            if isinstance(ready, Refusal):
                work.refused.append(ready)
                continue
            try:
                await _add(ready[0], desk, work, (output,) if has_output else ())
            except InvalidRequest as error:
                work.refused.append(Refusal(row.line, str(error)))


def _rows(file: str, opened: ExitStack, work: Work) -> Iterator[Row]:
    try:
        yield from rows(open_rows(file, opened), file)
    except Broken as error:
        work.refused.append(Refusal(error.line, str(error)))


async def _from_past(target: Target, most: list[Asked], desk: Desk, work: Work) -> None:
    originals = KafkaOriginals(security.librdkafka(target.settings))
    for raw in await originals.read([asked.source for asked in most]):
        ready = None if raw is None else request(Row(0, orjson.loads(raw)), Defaults())
        if ready is None or isinstance(ready, Refusal):
            work.gone += 1
            continue
        try:
            await _add(ready[0], desk, work, ())
        except InvalidRequest:
            work.gone += 1  # its template or its model is gone, too


async def _add(read: Read, desk: Desk, work: Work, output: tuple[Any, ...]) -> None:
    """Raises InvalidRequest."""
    call = await desk.call(read)
    if output:
        key, value, ttl = entry(call, output[0], desk.ttl_s, desk.now)
        work.known[key] = (value, ttl)
        return
    if call.cache_key is None:
        raise InvalidRequest("invalid_request", "the answer to this request is not kept: its cache says so")
    question = call.cache_key.rpartition(":")[2].partition(".")[0]
    again = request(Row(0, warming(read.fields, question, f"{desk.now:%Y%m%d%H%M%S}")), Defaults())
    if isinstance(again, Refusal):
        raise InvalidRequest("invalid_request", again.reason)
    work.ask[question] = again


async def _do(target: Target, work: Work) -> None:
    if work.ask:
        await send(target, list(work.ask.values()), lambda _: None)
    by_ttl: dict[int, list[tuple[str, bytes]]] = {}
    for key, (value, ttl) in work.known.items():
        by_ttl.setdefault(ttl, []).append((key, value))
    redis = RedisClient(target.settings.redis_url.get_secret_value())
    try:
        for ttl, entries in by_ttl.items():
            for start in range(0, len(entries), BATCH):
                await RedisCache(redis).put_many(entries[start : start + BATCH], timedelta(seconds=ttl))
    finally:
        await redis.close()
