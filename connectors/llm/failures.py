"""What a failed call was, as a ModelError: from the status and headers, or from the client's exception.

Sources: RFC 9110 (Retry-After), OpenAI "Rate limits" (x-ratelimit-*), Anthropic "Rate limits" and "Errors" (529).
"""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

from domain.errors import ModelError
from domain.routing.model import Deployment

TIMEOUTS = frozenset({408, 504})
PASSING = frozenset({409, 425, 500, 502, 503, 520, 521, 522, 523, 524, 529})
HOPELESS_CODES = frozenset({"insufficient_quota", "billing_not_active", "billing_hard_limit_reached"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST = 86_400.0
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")


def of_status(
    deployment: Deployment, status: int, headers: Mapping[str, str], error: Mapping[str, object], now: datetime
) -> ModelError:
    """`error` is the provider's error object, empty where there is none; `headers` are looked up case-insensitively."""
    limited = status == 429
    outcome = "rate_limited" if limited else "timeout" if status in TIMEOUTS else "error"
    retryable = status in TIMEOUTS or status in PASSING or (limited and error.get("code") not in HOPELESS_CODES)
    return ModelError(
        f"{deployment.provider} answered {status} for {deployment.model}: {_reason(status, error)}",
        outcome=outcome,
        sent=True,
        retryable=retryable,
        retry_after=retry_after(headers, now) if retryable else None,
        status=status,
        provider_request_id=request_id(headers),
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


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait: Retry-After in any form, or when the limit that is used up is filled again."""
    if (milliseconds := _number(headers.get("retry-after-ms"))) is not None:
        return min(milliseconds / 1000, _LONGEST)
    if told := headers.get("retry-after"):
        seconds = _number(told)
        return _bounded(_until(told, now) if seconds is None else seconds)
    waits = [wait for prefix in ("x-ratelimit", "anthropic-ratelimit") for wait in _resets(headers, prefix, now)]
    return max(waits, default=None)


def _resets(headers: Mapping[str, str], prefix: str, now: datetime) -> list[float]:
    waits = []
    for kind in _KINDS:
        openai = prefix == "x-ratelimit"
        left = headers.get(f"{prefix}-remaining-{kind}" if openai else f"{prefix}-{kind}-remaining")
        reset = headers.get(f"{prefix}-reset-{kind}" if openai else f"{prefix}-{kind}-reset")
        if left is not None and reset and _number(left) == 0:
            wait = _bounded(_duration(reset, now))
            waits += [] if wait is None else [wait]
    return waits


def _duration(text: str, now: datetime) -> float | None:
    """`6m0s`, `20ms`, `1.5` (seconds) or a time."""
    if (seconds := _number(text)) is not None:
        return seconds
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _SECONDS[unit] for number, unit in parts)
    return _until(text, now)


def _until(text: str, now: datetime) -> float | None:
    """Seconds until an HTTP date or an RFC 3339 time."""
    for parse in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            at = parse(text)
        except ValueError:
            continue
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()
    return None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None or math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST)


def _reason(status: int, error: Mapping[str, object]) -> str:
    if status in (401, 403):
        return "it does not accept our key; the operator must check it"
    said = error.get("message")
    return " ".join(said.split())[:300] if isinstance(said, str) and said else "it gave no reason"
