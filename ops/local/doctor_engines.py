"""Do the engines answer, with these credentials, and do they hold what this version needs? The part of `doctor` that
asks others; each question ends within seconds, and none changes anything."""

import asyncio
from collections.abc import Awaitable, Collection
from datetime import timedelta

from connectors.catalog import utc_now
from connectors.clickhouse.client import ClickHouse
from connectors.clickhouse.migrate import lacking as lacking_in_clickhouse
from connectors.kafka.admin import lacking as lacking_topics
from connectors.postgres.accounts import callers
from connectors.postgres.migrate import Standing, standing
from connectors.redis.client import RedisClient
from domain.errors import StructuredPromptError
from domain.settings import Settings
from topics.table import with_tenants

from .check import Check
from .environment import NEEDED

PATIENCE_S = 8.0
CLOCKS = timedelta(seconds=5)


async def ask(settings: Settings, engines: Collection[str], where: str) -> list[Check]:
    """A check for each of `engines` (kafka, postgres, redis, clickhouse). `where` is --data DIR or --use-env, which
    the commands that mend need."""
    questions = {"kafka": _kafka, "postgres": _postgres, "redis": _redis, "clickhouse": _clickhouse}
    asked = [_answer(name, question(settings, where)) for name, question in questions.items() if name in engines]
    checks = list(await asyncio.gather(*asked))
    if any(check.name == "postgres" and check.verdict == "ok" for check in checks):
        checks.append(await _answer("postgres", _callers(settings, where)))
    return checks


async def _answer(name: str, question: Awaitable[Check]) -> Check:
    """The check, or what the engine's refusal says: after a semicolon our errors name the remedy."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await question
    except StructuredPromptError as error:
        found, _, remedy = str(error).partition("; ")
        return Check(name, "fail", found, remedy or f"check {NEEDED[name]} and the server")
    except TimeoutError:
        return Check(
            name, "fail", f"{name} does not answer within {PATIENCE_S:g} s", f"check {NEEDED[name]} and the server"
        )


async def _kafka(settings: Settings, where: str) -> Check:
    table = with_tenants(settings.tenants_with_topics)
    missing = await asyncio.to_thread(lacking_topics, settings, table, PATIENCE_S - 2)
    if missing.topics:
        found = f"{len(missing.topics)} topics are missing: {', '.join(missing.topics)}"
        return Check("kafka", "fail", found, f"structured-prompt topics apply {where}")
    if missing.partitions:
        found = f"topics lack partitions, and with them workers a share of the line: {', '.join(missing.partitions)}"
        return Check("kafka", "warn", found, f"structured-prompt topics apply --grow {where}")
    return Check("kafka", "ok", f"{settings.kafka} has every topic")


async def _postgres(settings: Settings, where: str) -> Check:
    found = await standing(settings.database_url.get_secret_value())
    if found.version != found.newest:
        state = f"at {found.version}" if found.version else "empty"
        told = f"the database is {state}, this version needs {found.newest}"
        return Check("postgres", "fail", told, f"structured-prompt migrate {where}")
    return _clock(found) or Check("postgres", "ok", f"migrated to {found.newest}")


async def _callers(settings: Settings, where: str) -> Check:
    """Without a tenant nothing is accepted; without a key nothing over HTTP."""
    found = await callers(settings.database_url.get_secret_value())
    if not found.tenants:
        told = "no tenant exists, so that nobody's request is accepted"
        return Check("tenants", "fail", told, f"structured-prompt tenants create demo {where}")
    if not found.keys:
        told = "no tenant has an API key, so that HTTP refuses everybody"
        return Check(
            "tenants", "warn", told, f"structured-prompt keys create --tenant {found.first} --name first {where}"
        )
    return Check("tenants", "ok", f"{found.tenants}, with {found.keys} API keys")


def _clock(found: Standing) -> Check | None:
    """Leases, deadlines and budgets compare the database's clock with ours."""
    apart = abs(found.now - utc_now())
    if apart <= CLOCKS:
        return None
    told = f"the database's clock and this machine's are {apart.total_seconds():.0f} s apart"
    return Check("postgres", "fail", told, "timedatectl set-ntp true, on the one that is wrong")


async def _redis(settings: Settings, _where: str) -> Check:
    client = RedisClient(settings.redis_url.get_secret_value(), timeout_s=2)
    try:
        await client.ping()
    finally:
        await client.close()
    return Check("redis", "ok", "answers")


async def _clickhouse(settings: Settings, where: str) -> Check:
    async with ClickHouse(settings.clickhouse_url.get_secret_value(), timeout_s=PATIENCE_S - 1) as clickhouse:
        missing = await lacking_in_clickhouse(clickhouse)
    if missing:
        told = f"the database lacks {len(missing)} migrations, from {missing[0]} on"
        return Check("clickhouse", "fail", told, f"structured-prompt migrate {where}")
    return Check("clickhouse", "ok", "has every table")
