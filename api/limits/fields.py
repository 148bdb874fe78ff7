"""Limits as the outside sees them: names, and the header fields of draft-ietf-httpapi-ratelimit-headers."""

import math
from collections.abc import Iterator

from api.authentication import Caller
from domain.admission.model import Look


def name_of(key: str) -> str:
    """`acme` is the tenant's, `acme/key/k1` the key's; what else is limited follows: `tenant-tokens`, `key-flights`."""
    parts = key.split("/")[1:]
    whose = "key" if parts[:1] == ["key"] else "tenant"
    return "-".join([whose, *(parts[2:] if whose == "key" else parts)])


def headers(caller: Caller, look: Look) -> dict[str, str]:
    """Every limit: its quota and window (`qu` is the unit where it is not requests), what is left, and when all is."""
    policies, lefts = [], []
    for limit, left in zip(caller.limits, look.left, strict=True):
        name, unit = name_of(limit.key), ';qu="tokens"' if limit.unit == "tokens" else ""
        policies.append(f'"{name}";q={limit.per_minute};w=60{unit}')
        lefts.append(f'"{name}";r={left.remaining};t={math.ceil(left.reset)}')
    for name, places, in_flight in flights(caller, look):
        policies.append(f'"{name}";q={places};qu="concurrent-requests"')
        lefts.append(f'"{name}";r={max(0, places - in_flight)}')
    return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(lefts)}


def flights(caller: Caller, look: Look) -> Iterator[tuple[str, int, int]]:
    """Name, places and calls in flight of what limits them."""
    for gate, count in zip(caller.gates, look.in_flight, strict=True):
        if gate.places is not None:
            yield name_of(gate.key), gate.places, count
