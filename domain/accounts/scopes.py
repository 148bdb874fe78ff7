"""What a key may do: `resource:read` and `resource:write`, neither of which includes the other, or `admin` for all."""

from collections.abc import Iterable, Mapping

from domain.errors import InvalidRequest

ADMIN = "admin"
SCOPES: Mapping[str, str] = {
    ADMIN: "everything that the tenant may, also what is added later; what a key has that was made without scopes",
    "requests:write": "ask, over `/v1/analyze` and `/openai`, with the answer in the response; cancel a job",
    "requests:read": "jobs and their results, whoever of the tenant asked",
    "audit:read": "who changed keys, limits, budgets, destinations and the rest, from which address",
    "budgets:read": "budgets and what is spent",
    "budgets:write": "create, change and delete budgets",
    "cache:read": "how often the cache answered",
    "cache:write": "forget cached answers",
    "dead-letters:read": "dead letters, with what was asked",
    "dead-letters:write": "redrive dead letters, which costs what asking again costs",
    "exports:read": "results as files",
    "exports:write": "cancel exports, and have them made on a schedule",
    "limits:read": "limits of the tenant and of its keys",
    "limits:write": "change limits of the tenant's keys; of tenants, for operators",
    "models:read": "models and prices",
    "providers:read": "the health of providers",
    "queues:read": "what waits, and for what",
    "schemas:read": "named schemas",
    "schemas:write": "add versions of named schemas, and change their compatibility",
    "sinks:read": "the operator's sinks, for operators",
    "sinks:write": "pause, resume and replay them, for operators",
    "sources:read": "the operator's sources, for operators",
    "sources:write": "make, replace and remove them, for operators",
    "usage:read": "usage and costs",
    "webhooks:read": "webhooks and other destinations, and their deliveries, with the results in them",
    "webhooks:write": "webhooks and other destinations: who may make one has every result sent there",
}


def checked(scopes: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order; `admin` alone where nothing was named. Raises InvalidRequest for one that does not exist."""
    named = sorted(set(scopes)) or [ADMIN]
    unknown = [scope for scope in named if scope not in SCOPES]
    if unknown:
        missing = ", ".join(map(repr, unknown))
        raise InvalidRequest("invalid_request", f"there is no scope {missing}; there are {', '.join(SCOPES)}")
    return tuple(named)
