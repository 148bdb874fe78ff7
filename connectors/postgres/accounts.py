"""Tenants, plans and keys in PostgreSQL."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime
from typing import Any

from connectors.postgres.pool import Pool, connect
from connectors.postgres.queries import statements
from domain.accounts.model import Allowance, ApiKey, Plan, Tenant

_SQL = statements("accounts")
_OF_TENANT = 10
"""Columns of the tenant itself; those of its plan follow."""


@dataclass(frozen=True, slots=True)
class Callers:
    """How many may ask at all: tenants that are active, and keys of theirs that were not revoked; the first tenant."""

    tenants: int
    keys: int
    first: str | None


async def callers(database_url: str) -> Callers:
    """Of a migrated database. Raises Unavailable."""
    pool = await connect(database_url, 1)
    try:
        (row,) = await pool.fetch(_SQL["callers"])
    finally:
        await pool.close()
    return Callers(*row)


class PostgresAccounts:
    """Implements domain.ports.Accounts."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def tenants(self) -> list[Tenant]:
        return [_tenant(row) for row in await self._pool.fetch(_SQL["tenants"])]

    async def tenant(self, name: str) -> Tenant | None:
        row = await self._pool.row(_SQL["tenant"], name)
        return None if row is None else _tenant(row)

    async def create_tenant(self, tenant: Tenant) -> bool:
        facts = (tenant.name, tenant.active, tenant.requests_per_minute, tenant.burst, tenant.store_answers)
        more = (tenant.cache_ttl_s, tenant.tokens_per_minute, tenant.token_burst, tenant.concurrency, tenant.plan)
        return bool(await self._pool.fetch(_SQL["create_tenant"], *facts, *more))

    async def limit_tenant(self, name: str, allowance: Allowance, plan: str | None) -> bool:
        return bool(await self._pool.fetch(_SQL["limit_tenant"], name, *astuple(allowance), plan))

    async def plans(self) -> list[Plan]:
        return [Plan(row[0], Allowance(*row[1:])) for row in map(tuple, await self._pool.fetch(_SQL["plans"]))]

    async def put_plan(self, plan: Plan) -> None:
        await self._pool.fetch(_SQL["put_plan"], plan.name, *astuple(plan.allowance))

    async def delete_plan(self, name: str) -> bool:
        return bool(await self._pool.fetch(_SQL["delete_plan"], name))

    async def keys(self, tenant: str) -> list[ApiKey]:
        return _keys(await self._pool.fetch(_SQL["keys"], tenant))

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        found = _keys(await self._pool.fetch(_SQL["key_by_digest"], digest))
        return found[0] if found else None

    async def create_key(self, key: ApiKey) -> None:
        limits = (key.requests_per_minute, key.burst)
        facts = (key.id, key.tenant, key.name, key.digest, key.hint, key.created_at)
        more = (key.tokens_per_minute, key.token_burst, key.concurrency, list(key.scopes))
        await self._pool.fetch(_SQL["create_key"], *facts, *limits, key.revoked_at, *more)

    async def limit_key(self, tenant: str, id: str, allowance: Allowance) -> bool:
        return bool(await self._pool.fetch(_SQL["limit_key"], tenant, id, *astuple(allowance)))

    async def revoke_key(self, tenant: str, id: str, at: datetime) -> bool:
        return bool(await self._pool.fetch(_SQL["revoke_key"], tenant, id, at))


def _tenant(row: Any) -> Tenant:
    values = tuple(row)
    return replace(Tenant(*values[:_OF_TENANT]), of_plan=Allowance(*values[_OF_TENANT:]))


def _keys(rows: Sequence[Any]) -> list[ApiKey]:
    return [ApiKey(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
