"""Which rate limits a request must pass: its tenant's, and its key's where the key has one of its own."""

from domain.accounts.model import ApiKey, Tenant
from domain.admission.model import Limit


def limits_of(tenant: Tenant, key: ApiKey | None, per_minute: int, burst: int) -> tuple[Limit, ...]:
    """`per_minute` and `burst` are the settings' defaults for a tenant without its own. The tenant's comes first."""
    own_rate = tenant.requests_per_minute
    of_tenant = Limit(
        tenant.name,
        per_minute if own_rate is None else own_rate,
        # a rate of its own without a burst of its own may be spent within one moment, at most
        tenant.burst if tenant.burst is not None else (burst if own_rate is None else own_rate),
    )
    if key is None or key.requests_per_minute is None:
        return (of_tenant,)
    key_burst = key.requests_per_minute if key.burst is None else key.burst
    return (of_tenant, Limit(f"{tenant.name}/key/{key.id}", key.requests_per_minute, key_burst))
