"""Which limits a request must pass: its tenant's, and its key's where the key has any of its own."""

from dataclasses import dataclass

from domain.accounts.model import Allowance, ApiKey, Tenant
from domain.admission.model import Gate, Limit, Rules, gate_keys

LANE_PLACES = 2_000


@dataclass(frozen=True, slots=True)
class Defaults:
    """The limits of a tenant that has none of its own, and how many of its calls are in flight in one lane."""

    per_minute: int
    burst: int
    lane_places: int = LANE_PLACES


def limits_of(tenant: Tenant, key: ApiKey | None, per_minute: int, burst: int) -> tuple[Limit, ...]:
    """`per_minute` and `burst` are the settings' defaults for a tenant without its own. The tenant's comes first."""
    allowed = tenant.allowance
    rate = per_minute if allowed.requests_per_minute is None else allowed.requests_per_minute
    # a rate of its own without a burst of its own may be spent within one moment, at most
    at_once = allowed.burst if allowed.burst is not None else (burst if allowed.requests_per_minute is None else rate)
    found = [Limit(tenant.name, rate, at_once)]
    if key is not None and key.requests_per_minute is not None:
        key_burst = key.requests_per_minute if key.burst is None else key.burst
        found.append(Limit(f"{tenant.name}/key/{key.id}", key.requests_per_minute, key_burst))
    found += _token_limit(f"{tenant.name}/tokens", allowed)
    if key is not None:
        found += _token_limit(f"{tenant.name}/key/{key.id}/tokens", key.allowance)
    return tuple(found)


def gates_of(tenant: Tenant, key: ApiKey | None, lane: str, lane_places: int = LANE_PLACES) -> tuple[Gate, ...]:
    """The share of its lane, which is no limit of the caller's, then what is allowed in flight at once."""
    of_lane, of_tenant, *of_key = gate_keys(tenant.name, lane, key.id if key else None)
    gates = [Gate(of_lane, lane_places, rejects=False), Gate(of_tenant, tenant.allowance.concurrency)]
    return (*gates, *(Gate(name, key.concurrency if key else None) for name in of_key))


def rules_of(tenant: Tenant, key: ApiKey | None, lane: str, defaults: Defaults) -> Rules:
    """All that a request of this tenant, key and lane must pass."""
    limits = limits_of(tenant, key, defaults.per_minute, defaults.burst)
    tokens = any(limit.unit == "tokens" for limit in limits)
    return Rules(limits, gates_of(tenant, key, lane, defaults.lane_places), tokens)


def _token_limit(name: str, allowed: Allowance) -> list[Limit]:
    if allowed.tokens_per_minute is None:
        return []
    burst = allowed.tokens_per_minute if allowed.token_burst is None else allowed.token_burst
    return [Limit(name, allowed.tokens_per_minute, burst, "tokens")]


def narrows(own: Allowance, wanted: Allowance) -> bool:
    """Whether `wanted` lets nothing pass that `own` would not, limit by limit. The same narrows, too."""
    return (
        _narrows_rate((own.requests_per_minute, own.burst), (wanted.requests_per_minute, wanted.burst))
        and _narrows_rate((own.tokens_per_minute, own.token_burst), (wanted.tokens_per_minute, wanted.token_burst))
        and (own.concurrency is None or (wanted.concurrency is not None and wanted.concurrency <= own.concurrency))
    )


def _narrows_rate(own: tuple[int | None, int | None], wanted: tuple[int | None, int | None]) -> bool:
    """Of (rate, burst): a burst that is not said is the rate, and one without a rate limits nothing."""
    if own[0] is None:
        return True
    if wanted[0] is None or wanted[0] > own[0]:
        return False
    return _burst(wanted[0], wanted[1]) <= _burst(own[0], own[1])


def _burst(rate: int, said: int | None) -> int:
    return rate if said is None else said
