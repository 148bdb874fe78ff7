"""Endpoints of webhooks in PostgreSQL."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from connectors.postgres.texts import bucket, bucket_text, stored
from domain.webhooks.kinds import PER_OBJECT, Kind
from domain.webhooks.model import Change, Endpoint, Mark, Subscriptions

_SQL = statements("endpoints")


class PostgresEndpoints:
    """Implements domain.ports.Endpoints."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, endpoint: Endpoint) -> None:
        fields = None if endpoint.fields is None else list(endpoint.fields)
        every = None if endpoint.bucket is None else timedelta(seconds=endpoint.bucket.every_s)
        await self._pool.fetch(
            _SQL["add"], endpoint.tenant, endpoint.id, endpoint.url, list(endpoint.events), fields,
            endpoint.description, endpoint.salt, endpoint.created_at, endpoint.kind, bucket_text(endpoint.bucket),
            endpoint.sealed or None, 1 if every is None else PER_OBJECT, every, list(endpoint.redact),
        )  # fmt: skip

    async def get(self, tenant: str, id: str) -> Endpoint | None:
        return _one(await self._pool.fetch(_SQL["get"], tenant, id))

    async def page(
        self, tenant: str, limit: int, before: tuple[datetime, str] | None, kind: Kind | None = None
    ) -> list[Endpoint]:
        rows = await self._pool.fetch(_SQL["page"], tenant, *(before or (None, None)), limit, kind)
        return [_endpoint(row) for row in rows]

    async def change(self, tenant: str, id: str, change: Change) -> Endpoint | None:
        events = None if change.events is None else list(change.events)
        fields = None if change.fields is None else list(change.fields)
        every = None if change.bucket is None else timedelta(seconds=change.bucket.every_s)
        rows = await self._pool.fetch(
            _SQL["change"], tenant, id, change.url, events, fields, change.description, change.enabled, change.paused,
            bucket_text(change.bucket), change.sealed, PER_OBJECT, every,
            None if change.redact is None else list(change.redact),
        )  # fmt: skip
        return _one(rows)

    async def rotate(self, tenant: str, id: str, salt: bytes, old_until: datetime) -> Endpoint | None:
        return _one(await self._pool.fetch(_SQL["rotate"], tenant, id, salt, old_until))

    async def delete(self, tenant: str, id: str) -> bool:
        return bool(await self._pool.fetch(_SQL["delete"], tenant, id))

    async def subscriptions(self, known: int) -> Subscriptions | None:
        newest = await self._pool.row(_SQL["version"])
        if newest is not None and newest["version"] == known:
            return None
        rows = await self._pool.fetch(_SQL["subscriptions"])
        found: defaultdict[str, list[Endpoint]] = defaultdict(list)
        for row in rows:
            if row["tenant"] is not None:
                found[row["tenant"]].append(_endpoint(row))
        return Subscriptions(rows[0]["version"], dict(found))

    async def mark(self, marks: Sequence[Mark]) -> None:
        worst = {(one.tenant, one.endpoint): one for one in sorted(marks, key=lambda one: one.disabled or "")}
        given = [
            (*key, one.failing_since, one.disabled, one.at, one.status, stored(one.error))
            for key, one in sorted(worst.items())
        ]
        if given:
            await self._pool.fetch(_SQL["mark"], *columns(given, 7))

    async def untold(self) -> list[Endpoint]:
        return [_endpoint(row) for row in await self._pool.fetch(_SQL["untold"])]

    async def told(self, endpoints: Sequence[Endpoint]) -> None:
        if endpoints:
            await self._pool.fetch(_SQL["told"], *columns([(one.tenant, one.id) for one in endpoints], 2))


def _one(rows: Sequence[Any]) -> Endpoint | None:
    return _endpoint(rows[0]) if rows else None


def _endpoint(row: Any) -> Endpoint:
    return Endpoint(
        row["tenant"], row["id"], row["url"], tuple(row["events"]), row["salt"], row["created_at"],
        None if row["fields"] is None else tuple(row["fields"]), row["description"], row["old_salt"],
        row["old_until"], row["enabled"], row["disabled"], row["failing_since"], row["kind"], bucket(row["place"]),
        row["sealed"] or b"", row["paused"], row["last_success_at"], row["last_error_at"], row["last_status"],
        row["last_error"], row["given_up"], tuple(row["redact"]),
    )  # fmt: skip
