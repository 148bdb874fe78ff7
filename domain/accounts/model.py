"""Tenants and API keys. A key itself is never stored, only its keyed hash."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer: a wall. Limits of None fall back to the settings' defaults.

    cache_ttl_s: how many seconds its answers are kept at most, 0 for not at all; None for as long as others.
    """

    name: str
    active: bool = True
    requests_per_minute: int | None = None
    burst: int | None = None
    store_answers: bool = False
    cache_ttl_s: int | None = None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`id` is public (in results and usage), `digest` the keyed hash of the secret, `hint` its first characters."""

    id: str
    tenant: str
    name: str
    digest: bytes
    hint: str
    created_at: datetime
    requests_per_minute: int | None = None
    burst: int | None = None
    revoked_at: datetime | None = None
