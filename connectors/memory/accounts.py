"""Tenants, plans and keys in this process."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

from domain.accounts.model import Allowance, ApiKey, Plan, Tenant
from domain.errors import Permanent


class MemoryAccounts:
    """Implements domain.ports.Accounts."""

    def __init__(self, tenants: Sequence[Tenant] = (), keys: Sequence[ApiKey] = ()) -> None:
        self._tenants = {tenant.name: tenant for tenant in tenants}
        self._keys = {(key.tenant, key.id): key for key in keys}
        self._plans: dict[str, Plan] = {}

    async def tenants(self) -> list[Tenant]:
        return [self._planned(self._tenants[name]) for name in sorted(self._tenants)]

    async def tenant(self, name: str) -> Tenant | None:
        found = self._tenants.get(name)
        return None if found is None else self._planned(found)

    async def create_tenant(self, tenant: Tenant) -> bool:
        return self._tenants.setdefault(tenant.name, tenant) is tenant

    async def limit_tenant(self, name: str, allowance: Allowance, plan: str | None) -> bool:
        tenant = self._tenants.get(name)
        if tenant is None:
            return False
        self._tenants[name] = replace(tenant, **asdict(allowance), plan=plan)
        return True

    async def plans(self) -> list[Plan]:
        return [self._plans[name] for name in sorted(self._plans)]

    async def put_plan(self, plan: Plan) -> None:
        self._plans[plan.name] = plan

    async def delete_plan(self, name: str) -> bool:
        if any(tenant.plan == name for tenant in self._tenants.values()):
            return False
        return self._plans.pop(name, None) is not None

    async def keys(self, tenant: str) -> list[ApiKey]:
        mine = (key for key in self._keys.values() if key.tenant == tenant)
        return sorted(mine, key=lambda key: (key.created_at, key.id))

    async def key_by_digest(self, digest: bytes) -> ApiKey | None:
        return next((key for key in self._keys.values() if key.digest == digest), None)

    async def create_key(self, key: ApiKey) -> None:
        """Raises Permanent when another key has the same digest."""
        other = await self.key_by_digest(key.digest)
        if other is not None and (other.tenant, other.id) != (key.tenant, key.id):
            raise Permanent(f"the key {key.id} is already stored as {other.id}; make a new one")
        self._keys.setdefault((key.tenant, key.id), key)

    async def limit_key(self, tenant: str, id: str, allowance: Allowance) -> bool:
        key = self._keys.get((tenant, id))
        if key is None:
            return False
        self._keys[tenant, id] = replace(key, **asdict(allowance))
        return True

    async def revoke_key(self, tenant: str, id: str, at: datetime) -> bool:
        key = self._keys.get((tenant, id))
        if key is None:
            return False
        self._keys[tenant, id] = replace(key, revoked_at=key.revoked_at or at)
        return True

    def _planned(self, tenant: Tenant) -> Tenant:
        plan = self._plans.get(tenant.plan or "")
        return tenant if plan is None else replace(tenant, of_plan=plan.allowance)
