"""What a failed call was, as a ModelError: from the status and headers, or from the client's exception.

Sources: RFC 9110 (Retry-After), OpenAI "Rate limits" (x-ratelimit-*), Anthropic "Rate limits" and "Errors" (529),
Google Cloud APIs "Errors" (error details: RetryInfo, ErrorInfo).
"""

from collections.abc import Mapping
from datetime import datetime

import aiohttp

from domain.errors import ModelError
from domain.pacing.told import LONGEST, number, retry_after
from domain.routing.model import Deployment

TIMEOUTS = frozenset({408, 504})
PASSING = frozenset({409, 425, 500, 502, 503, 520, 521, 522, 523, 524, 529})
ELSEWHERE = frozenset({401, 402, 403, 404})
GOOGLE = "type.googleapis.com/google.rpc."
REFUSED_KEYS = frozenset({"API_KEY_INVALID", "API_KEY_SERVICE_BLOCKED"})
"""Reasons of Google's for a status of 400 where others answer 401."""
HOPELESS_CODES = frozenset({"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"})


def of_status(
    deployment: Deployment, status: int, headers: Mapping[str, str], error: Mapping[str, object], now: datetime
) -> ModelError:
    """`error` is the provider's error object, empty where there is none; `headers` are looked up case-insensitively."""
    limited = status == 429
    outcome = "rate_limited" if limited else "timeout" if status in TIMEOUTS else "error"
    retryable = status in TIMEOUTS or status in PASSING or (limited and error.get("code") not in HOPELESS_CODES)
    bad_key = status in (401, 403) or _detail(error, "ErrorInfo").get("reason") in REFUSED_KEYS
    too_long = status == 413 or error.get("code") == "context_length_exceeded"
    return ModelError(
        f"{deployment.provider} answered {status} for {deployment.model}: {_reason(bad_key, error)}",
        outcome=outcome,
        sent=True,
        retryable=retryable,
        retry_after=_wait(headers, error, now) if retryable else None,
        status=status,
        provider_request_id=request_id(headers),
        headers=headers if limited else None,
        elsewhere=too_long or limited or bad_key or status in ELSEWHERE,
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


def _wait(headers: Mapping[str, str], error: Mapping[str, object], now: datetime) -> float | None:
    """What the headers say; Google says it in the body: `retryDelay`, "34.5s"."""
    if (told := retry_after(headers, now)) is not None:
        return told
    delay = _detail(error, "RetryInfo").get("retryDelay")
    seconds = number(delay.removesuffix("s")) if isinstance(delay, str) else None
    return None if seconds is None or not 0 <= seconds < LONGEST else seconds


def _detail(error: Mapping[str, object], kind: str) -> Mapping[str, object]:
    """Of Google's error details the one of this type; empty where there is none."""
    details = error.get("details")
    for one in details if isinstance(details, list) else ():
        if isinstance(one, dict) and one.get("@type") == GOOGLE + kind:
            return one
    return {}


def _reason(bad_key: bool, error: Mapping[str, object]) -> str:
    if bad_key:
        return "it does not accept our key; the operator must check it"
    said = error.get("message")
    return " ".join(said.split())[:300] if isinstance(said, str) and said else "it gave no reason"
