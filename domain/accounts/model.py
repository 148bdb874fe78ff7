"""Tenants and API keys. A key itself is never stored, only its keyed hash."""

from dataclasses import dataclass
from datetime import datetime

from domain.accounts.scopes import ADMIN


@dataclass(frozen=True, slots=True)
class Allowance:
    """Requests and tokens a minute, how many of each at once, and calls in flight; None where nothing is said."""

    requests_per_minute: int | None = None
    burst: int | None = None
    tokens_per_minute: int | None = None
    token_burst: int | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """Limits that tenants share."""

    name: str
    allowance: Allowance


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer: a wall. Limits of None are its plan's (`of_plan`), and then the settings' defaults.

    cache_ttl_s: how many seconds its answers are kept at most, 0 for not at all; None for as long as others.
    """

    name: str
    active: bool = True
    requests_per_minute: int | None = None
    burst: int | None = None
    store_answers: bool = False
    cache_ttl_s: int | None = None
    tokens_per_minute: int | None = None
    token_burst: int | None = None
    concurrency: int | None = None
    plan: str | None = None
    of_plan: Allowance = Allowance()

    @property
    def allowance(self) -> Allowance:
        """Its own limits before its plan's. A rate of its own leaves the plan's burst of that rate behind."""
        own, plan = self, self.of_plan
        requests = plan if own.requests_per_minute is None else own
        tokens = plan if own.tokens_per_minute is None else own
        return Allowance(
            requests.requests_per_minute,
            requests.burst if own.burst is None else own.burst,
            tokens.tokens_per_minute,
            tokens.token_burst if own.token_burst is None else own.token_burst,
            plan.concurrency if own.concurrency is None else own.concurrency,
        )


@dataclass(frozen=True, slots=True)
class ApiKey:
    """`id` is public (in results and usage), `digest` the keyed hash of the secret, `hint` its first characters.

    scopes: what it may do, see domain/accounts/scopes.py.
    """

    id: str
    tenant: str
    name: str
    digest: bytes
    hint: str
    created_at: datetime
    requests_per_minute: int | None = None
    burst: int | None = None
    revoked_at: datetime | None = None
    tokens_per_minute: int | None = None
    token_burst: int | None = None
    concurrency: int | None = None
    scopes: tuple[str, ...] = (ADMIN,)

    @property
    def allowance(self) -> Allowance:
        rates = (self.requests_per_minute, self.burst, self.tokens_per_minute, self.token_burst)
        return Allowance(*rates, self.concurrency)
