"""Tenants and keys in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.accounts.model import ApiKey, Tenant

_SQL = statements("accounts")


class PostgresAccounts:
    """Implements domain.ports.Accounts."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def tenants(self) -> list[Tenant]:
        return [Tenant(**row) for row in await self._pool.fetch(_SQL["tenants"])]

    async def tenant(self, name: str) -> Tenant | None:
        row = await self._pool.row(_SQL["tenant"], name)
        return None if row is None else Tenant(**row)

    async def create_tenant(self, tenant: Tenant) -> bool:
        limits = (tenant.requests_per_minute, tenant.burst)
        kept = (tenant.store_answers, tenant.cache_ttl_s)
        rows = await self._pool.fetch(_SQL["create_tenant"], tenant.name, tenant.active, *limits, *kept)
        return bool(rows)

    async def keys(self, tenant: str) -> list[ApiKey]:
        return _keys(await self._pool.fetch(_SQL["keys"], tenant))

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        found = _keys(await self._pool.fetch(_SQL["key_by_digest"], digest))
        return found[0] if found else None

    async def create_key(self, key: ApiKey) -> None:
        limits = (key.requests_per_minute, key.burst)
        facts = (key.id, key.tenant, key.name, key.digest, key.hint, key.created_at)
        await self._pool.fetch(_SQL["create_key"], *facts, *limits, key.revoked_at)

    async def revoke_key(self, tenant: str, id: str, at: datetime) -> bool:
        return bool(await self._pool.fetch(_SQL["revoke_key"], tenant, id, at))


def _keys(rows: Sequence[Any]) -> list[ApiKey]:
    return [ApiKey(**row) for row in rows]
