"""What a failed call was, as a ModelError: from the status and headers, or from the client's exception.

Sources: RFC 9110 (Retry-After), OpenAI "Rate limits" (x-ratelimit-*), Anthropic "Rate limits" and "Errors" (529).
"""

from collections.abc import Mapping
from datetime import datetime

import aiohttp

from domain.errors import ModelError
from domain.pacing.told import retry_after
from domain.routing.model import Deployment

TIMEOUTS = frozenset({408, 504})
PASSING = frozenset({409, 425, 500, 502, 503, 520, 521, 522, 523, 524, 529})
ELSEWHERE = frozenset({401, 402, 403, 404})
HOPELESS_CODES = frozenset({"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"})


def of_status(
    deployment: Deployment, status: int, headers: Mapping[str, str], error: Mapping[str, object], now: datetime
) -> ModelError:
    """`error` is the provider's error object, empty where there is none; `headers` are looked up case-insensitively."""
    limited = status == 429
    outcome = "rate_limited" if limited else "timeout" if status in TIMEOUTS else "error"
    retryable = status in TIMEOUTS or status in PASSING or (limited and error.get("code") not in HOPELESS_CODES)
    too_long = status == 413 or error.get("code") == "context_length_exceeded"
    return ModelError(
        f"{deployment.provider} answered {status} for {deployment.model}: {_reason(status, error)}",
        outcome=outcome,
        sent=True,
        retryable=retryable,
        retry_after=retry_after(headers, now) if retryable else None,
        status=status,
        provider_request_id=request_id(headers),
        headers=headers if limited else None,
        elsewhere=too_long or limited or status in ELSEWHERE,
        too_long=too_long,
    )


def of_exception(deployment: Deployment, error: Exception, timeout_s: float) -> ModelError:
    """Whether a byte can have reached the provider decides whether the attempt can have been billed."""
    where = f"{deployment.provider} for {deployment.model}"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return failure(f"no connection to {where} in time; is {deployment.base_url} right?", "timeout", sent=False)
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = f"no connection to {where} at {deployment.base_url}: {error.os_error}"
        return failure(reason, "refused_connection", sent=False)
    if isinstance(error, TimeoutError):
        return failure(f"{where} did not answer within {timeout_s:g} s", "timeout")
    if isinstance(error, aiohttp.InvalidURL):
        return failure(f"the address of {where} is not valid: {deployment.base_url}", "error", sent=False, retry=False)
    return failure(f"the connection to {where} broke during the call: {type(error).__name__}", "error")


def failure(message: str, outcome: str, *, sent: bool = True, retry: bool = True) -> ModelError:
    """A call that brought no status, or a body nobody can read."""
    return ModelError(message, outcome=outcome, sent=sent, retryable=retry)


def unreadable(deployment: Deployment, reason: str, headers: Mapping[str, str]) -> ModelError:
    """Status 200, but no answer in it."""
    return ModelError(
        f"{deployment.provider} answered 200 for {deployment.model}, but {reason}",
        outcome="error",
        sent=True,
        retryable=True,
        status=200,
        provider_request_id=request_id(headers),
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """The provider's own id of the call, for its support."""
    for name in ("x-request-id", "request-id", "apim-request-id", "cf-ray"):
        if found := headers.get(name):
            return found[:255]
    return None


def _reason(status: int, error: Mapping[str, object]) -> str:
    if status in (401, 403):
        return "it does not accept our key; the operator must check it"
    said = error.get("message")
    return " ".join(said.split())[:300] if isinstance(said, str) and said else "it gave no reason"
