"""What the cache does for one tenant, and what it is to forget."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from pydantic import ValidationError

from api import problems
from api.usage.service import since_of
from api.within import LEDGER, within
from domain.admission.prepare import Preparer
from domain.caching.generations import Scope
from domain.caching.semantic import Trusted, by_template
from domain.caching.use import CacheUse
from domain.forgetting.invalidation import Invalidation, forgotten, records, scopes
from domain.ports import Producer, SimilarAnswers, Trail, UsageReader
from topics.base import format_money, format_time
from topics.codec import Unreadable

PATIENCE_S = 10.0
PRODUCE_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class CachePorts:
    """What the cache is read and changed through."""

    usage: UsageReader
    similar: SimilarAnswers
    producer: Producer
    trail: Trail


class Cache:
    """Answers are the bytes of the body. Raises Problem (unavailable) when what it needs does not answer."""

    def __init__(self, ports: CachePorts, preparer: Preparer, now: Callable[[], datetime]) -> None:
        self._ports = ports
        self._preparer = preparer
        self._now = now

    async def page(self, tenant: str, since: str) -> bytes:
        start = since_of(since, self._now())
        uses, trusts = await asyncio.gather(
            within(self._ports.usage.cache(tenant, start), PATIENCE_S, "the usage database"),
            within(self._ports.similar.trust(tenant), PATIENCE_S, "the database"),
        )
        trusted = by_template(trusts)
        rows = [_fields(use, trusted.get(use.template or "")) for use in uses]
        return orjson.dumps({"items": rows, "next_cursor": None})

    async def forget(self, tenant: str, wanted: Invalidation) -> bytes:
        """Once the broker has it. Raises InvalidRequest, Problem."""
        now = self._now()
        try:
            found = await scopes(tenant, wanted, self._preparer, now)
        except Unreadable as error:
            raise problems.of_unreadable(error) from None
        await within(self._tell(tenant, found), PRODUCE_PATIENCE_S, LEDGER)
        said = records(tenant, found, uuid.uuid4().hex, now)
        await within(self._ports.producer.send(said), PRODUCE_PATIENCE_S, "the broker")
        return orjson.dumps({"invalidated": [_scope(scope) for scope in found], "at": format_time(now)})

    async def _tell(self, tenant: str, found: Sequence[Scope]) -> None:
        """Before it is done: the broker and the audit log have no transaction in common."""
        async with self._ports.trail.together("") as write:
            await write(forgotten(tenant, found))


def chosen(**query: Any) -> Invalidation:
    """What a query names. Raises Problem."""
    try:
        return Invalidation(**query)
    except ValidationError as error:
        raise problems.of_validation(error.errors(include_url=False, include_context=False)) from None


def _scope(scope: Scope) -> dict[str, str]:
    return {"kind": scope.kind, "value": scope.value}


def _fields(use: CacheUse, trusted: Trusted | None) -> dict[str, Any]:
    checks = None
    if trusted is not None:
        checks = {
            "checked": trusted.checked,
            "wrong": trusted.wrong,
            "false_hit_rate": round(trusted.false_hit_rate, 4),
            "closed_versions": trusted.closed_versions,
        }
    return {
        "template": use.template,
        "completed": use.completed,
        "exact": use.exact,
        "semantic": use.semantic,
        "coalesced": use.coalesced,
        "hit_rate": round(use.hit_rate, 4),
        "saved_usd": format_money(use.saved_usd),
        "mean_age_s": round(use.mean_age_s, 1),
        "semantic_checks": checks,
    }
