"""Tenants, their plans and their keys."""

from datetime import datetime
from typing import Protocol

from domain.accounts.model import Allowance, ApiKey, Plan, Tenant


class Accounts(Protocol):
    """Tenants, plans and keys."""

    async def tenants(self) -> list[Tenant]: ...

    async def tenant(self, name: str) -> Tenant | None: ...

    async def create_tenant(self, tenant: Tenant) -> bool:
        """False when the name exists already; nothing is changed then."""
        ...

    async def limit_tenant(self, name: str, allowance: Allowance, plan: str | None) -> bool:
        """Set all its own limits and its plan; False when there is no such tenant."""
        ...

    async def plans(self) -> list[Plan]: ...

    async def put_plan(self, plan: Plan) -> None:
        """Create it, or give it other limits."""
        ...

    async def delete_plan(self, name: str) -> bool:
        """False when there is no such plan, or a tenant has it."""
        ...

    async def keys(self, tenant: str) -> list[ApiKey]: ...

    async def key_by_digest(self, digest: bytes) -> ApiKey | None: ...

    async def create_key(self, key: ApiKey) -> None: ...

    async def limit_key(self, tenant: str, id: str, allowance: Allowance) -> bool:
        """Set all its own limits; False when there is no such key."""
        ...

    async def revoke_key(self, tenant: str, id: str, at: datetime) -> bool: ...
