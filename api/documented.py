"""What OpenAPI says of answers that no route gives by itself: those of the layers in front of it, and FastAPI's own."""

from collections.abc import Callable
from typing import Any

from api.shield.limits import ALWAYS

Described = Callable[[list[str]], dict[str, Any]]
KEYED = ("unauthenticated", "forbidden", "internal", "unavailable")
WITH_BODY = ("too_slow", "too_large", "unsupported_encoding", "invalid_request")


def complete(path: str, operation: dict[str, Any], statuses: dict[str, int], described: Described) -> None:
    """`statuses` are those of the problems' codes, `described` makes a response of several codes of one status."""
    responses = operation["responses"]
    unread = responses.get("422", {}).get("content", {})
    if "application/json" in unread:
        # FastAPI documents its own form of a refused parameter, which is answered as a problem here
        responses["422"] = described(["invalid_request"])
    if path.startswith("/openai/"):
        return
    for code in _codes(path, operation):
        responses.setdefault(str(statuses[code]), described([code]))


def _codes(path: str, operation: dict[str, Any]) -> list[str]:
    codes = [] if path in ALWAYS else ["rate_limited"]
    if path.startswith("/v1/"):
        codes += KEYED
    if "requestBody" in operation:
        codes += WITH_BODY
    return codes
