"""Which scope each route needs: that of its resource, to read with GET and to write with anything else.

A route of a resource that is not declared here lets in keys with `admin` only; tests/house/test_scopes.py then fails.
"""

from collections.abc import Collection, Mapping

from api.problems import Problem
from domain.accounts.scopes import ADMIN

RESOURCES: Mapping[str, str] = {
    "/openai/v1/chat": "requests",
    "/openai/v1/models": "models",
    "/v1/analyze": "requests",
    "/v1/audit": "audit",
    "/v1/budgets": "budgets",
    "/v1/cache": "cache",
    "/v1/dead-letters": "dead-letters",
    "/v1/destinations": "webhooks",
    "/v1/exports": "exports",
    "/v1/jobs": "requests",
    "/v1/limits": "limits",
    "/v1/models": "models",
    "/v1/providers": "providers",
    "/v1/queues": "queues",
    "/v1/schemas": "schemas",
    "/v1/sinks": "sinks",
    "/v1/sources": "sources",
    "/v1/usage": "usage",
    "/v1/webhooks": "webhooks",
}
OTHERWISE: Mapping[tuple[str, str], str] = {
    ("POST", "/v1/exports"): "exports:read",
    ("GET", "/v1/webhooks/callback-secret"): "webhooks:write",
}
"""Where the method does not say it: the export of a time is a question with a body, a secret is more than a view."""
_READS = frozenset({"GET", "HEAD"})
_OPENAI = "/openai/"


def needed(method: str, path: str) -> str:
    """The scope that a request of this path needs; `admin` where none is declared."""
    if special := OTHERWISE.get((method, path)):
        return special
    depth = 4 if path.startswith(_OPENAI) else 3
    resource = RESOURCES.get("/".join(path.split("/", depth)[:depth]))
    if resource is None:
        return ADMIN
    return f"{resource}:{'read' if method in _READS else 'write'}"


def objection(granted: Collection[str], method: str, path: str) -> Problem | None:
    """403 (RFC 6750, 3.1) for a key without the scope, which is named."""
    if ADMIN in granted:
        return None
    scope = needed(method, path)
    if scope in granted:
        return None
    challenge = f'Bearer realm="structured-prompt", error="insufficient_scope", scope="{scope}"'
    detail = f"the API key has no scope {scope!r}, which this needs; it has {', '.join(sorted(granted))}"
    return Problem("insufficient_scope", detail, headers={"www-authenticate": challenge})
