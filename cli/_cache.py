"""What `cache` does."""

import asyncio
import json
import uuid
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError

from cli._cache_options import What
from cli._output import print_rows
from cli._stack import Stack
from cli._target import Target, find
from cli._time import parse_since
from connectors import catalog
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.reader import ClickHouseUsage
from connectors.kafka import security
from connectors.kafka.producer import KafkaProducer
from connectors.postgres.pool import connect
from connectors.postgres.similar import PostgresSimilarAnswers
from connectors.postgres.trail import PostgresTrail
from domain.caching.generations import Scope
from domain.caching.semantic import Trusted, by_template
from domain.caching.use import CacheUse
from domain.forgetting.invalidation import Invalidation, forgotten, records, scopes

COLUMNS = ("template", "completed", "exact", "semantic", "coalesced", "hit_rate", "saved_usd", "mean_age_s")
CHECKS = ("checked", "wrong", "closed_versions")


def invalidate(stack: Stack, what: What, tenant: str | None) -> None:
    """See cli.cache.invalidate. Raises Unavailable."""
    target = find(stack)
    owner, now = target.tenant_or(tenant), datetime.now(UTC)
    models = catalog.catalogue(target.settings, target.environ)
    find_schemas = partial(catalog.find_schemas, target.settings.database_url.get_secret_value())
    preparer = catalog.preparer(target.settings, models, find_schemas)
    found = asyncio.run(scopes(owner, _wanted(what), preparer, now))
    asyncio.run(_say(target, owner, found, now))
    for scope in found:
        print(f"forgotten: {scope.kind} {scope.value}".rstrip())


def stats(stack: Stack, tenant: str | None, since: str, as_json: bool) -> None:
    """See cli.cache.stats. Raises Unavailable."""
    target = find(stack)
    uses, trusted = asyncio.run(_uses(target, target.tenant_or(tenant), parse_since(since)))
    rows = [
        {
            **{name: _shown(use, name) for name in COLUMNS},
            **{name: getattr(trusted.get(use.template or ""), name, None) for name in CHECKS},
        }
        for use in uses
    ]
    print_rows((*COLUMNS, *CHECKS), rows, as_json)


def _wanted(what: What) -> Invalidation:
    named = {**vars(what), "output_schema": _schema(what.output_schema)}
    try:
        return Invalidation(**named)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(one["msg"] for one in error.errors())) from None


def _schema(named: str | None) -> str | dict[str, Any] | None:
    """A file's content where there is such a file, else the name."""
    if named is None or not Path(named).is_file():
        return named
    try:
        schema: dict[str, Any] = json.loads(Path(named).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{named} cannot be read: {error}") from None
    return schema


async def _say(target: Target, tenant: str, found: list[Scope], now: datetime) -> None:
    pool = await connect(target.settings.database_url.get_secret_value(), 1)
    try:
        async with PostgresTrail(pool).together("") as write:
            await write(forgotten(tenant, found))
    finally:
        await pool.close()
    producer = KafkaProducer(security.librdkafka(target.settings), prefix=target.settings.topic_prefix)
    try:
        await producer.send(records(tenant, found, uuid.uuid4().hex, now))
    finally:
        await producer.close()


async def _uses(target: Target, tenant: str, since: datetime) -> tuple[list[CacheUse], dict[str, Trusted]]:
    pool = await connect(target.settings.database_url.get_secret_value(), 1)
    try:
        trusted = by_template(await PostgresSimilarAnswers(pool).trust(tenant))
    finally:
        await pool.close()
    async with ClickHouse(target.settings.clickhouse_url.get_secret_value()) as clickhouse:
        return await ClickHouseUsage(clickhouse).cache(tenant, since), trusted


def _shown(use: CacheUse, name: str) -> Any:
    value = getattr(use, name)
    return round(value, 4) if isinstance(value, float) else value
