"""What OpenAPI says of the headers of answers. Their words are `headers` in words.yaml."""

from collections.abc import Iterator, Mapping
from typing import Any

REFERENCE = "#/components/headers/"
STARTS_WORK = ("/v1/analyze", "/openai/")
"""Where a POST is answered with what is left of the limits (api/limits/middleware.py)."""
EVERYWHERE = "X-Request-Id"
LATER = frozenset({"rate_limited", "unavailable", "not_finished", "in_progress"})
"""Codes of problems that say when to come back."""
UNMETERED = ("401", "403")
"""Answered before the limits of the key are looked at."""
UNWAITED = (*UNMETERED, "408", "413", "415")
WAITS = "/v1/analyze"
BROWSERS = """
Besides the headers that each answer lists, all of them have those for browsers, errors included:
`X-Content-Type-Options`, `X-Frame-Options`, `Referrer-Policy`, `Permissions-Policy`, `Content-Security-Policy`,
`Cross-Origin-Opener-Policy`, `Cross-Origin-Resource-Policy`, `Cache-Control` (`no-store` on what is private), `Server`,
and `Strict-Transport-Security` over TLS. Above 1 kB an answer is compressed as `Accept-Encoding` asks
(`Content-Encoding`, `Vary`).
"""


def of(*names: str) -> dict[str, Any]:
    """For a response of a route that sends `names` itself."""
    return {name: {"$ref": REFERENCE + name} for name in names}


def complete(document: Mapping[str, Any], said: Mapping[str, Mapping[str, str]]) -> None:
    """`said` are description and example by name; what a route says of its own answers stays."""
    document["components"]["headers"] = {
        name: {"description": one["description"], "schema": {"type": "string"}, "example": one["example"]}
        for name, one in said.items()
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                names = _names(path, method, status, response)
                response["headers"] = {**of(*names), **response.get("headers", {})}


def _names(path: str, method: str, status: str, response: Mapping[str, Any]) -> Iterator[str]:
    yield EVERYWHERE
    if method == "post" and path.startswith(STARTS_WORK) and status not in UNMETERED:
        yield from ("RateLimit", "RateLimit-Policy")
    if path == WAITS and status not in UNWAITED:
        yield "Preference-Applied"
    if path.startswith("/openai/"):
        # its errors are in two responses, whatever their codes
        if status in ("4XX", "5XX"):
            yield from ("Retry-After", "X-Should-Retry")
        if status == "4XX":
            yield "WWW-Authenticate"
        return
    if LATER & _codes(response):
        yield "Retry-After"
    if status in UNMETERED and _codes(response) & {"unauthenticated", "insufficient_scope"}:
        yield "WWW-Authenticate"


def _codes(response: Mapping[str, Any]) -> set[str]:
    return {code for content in response.get("content", {}).values() for code in content.get("examples", {})}
