"""Tenants and their keys."""

from datetime import datetime
from typing import Protocol

from domain.accounts.model import ApiKey, Tenant


class Accounts(Protocol):
    """Tenants and keys."""

    async def tenants(self) -> list[Tenant]: ...

    async def tenant(self, name: str) -> Tenant | None: ...

    async def create_tenant(self, tenant: Tenant) -> bool:
        """False when the name exists already; nothing is changed then."""
        ...

    async def keys(self, tenant: str) -> list[ApiKey]: ...

    async def key_by_digest(self, digest: bytes) -> ApiKey | None: ...

    async def create_key(self, key: ApiKey) -> None: ...

    async def revoke_key(self, tenant: str, id: str, at: datetime) -> bool: ...
