"""What a provider says of its limits, in the headers of an answer. Pure; "now" is an argument.

Sources: OpenAI and Azure OpenAI "Rate limits" (`x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, `reset` in Go's
notation of a duration or in seconds, Azure often leaves it out), Anthropic "Rate limits"
(`anthropic-ratelimit-{requests,tokens,input-tokens}-{limit,remaining,reset}`, `reset` an RFC 3339 time), RFC 9110
(Retry-After), and `retry-after-ms`.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 86_400.0
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_KINDS = ("requests", "tokens", "input-tokens", "output-tokens")
_PERIODS = (1.0, 10.0, 60.0, 3600.0, 86400.0)
_USUAL_PERIOD = 60.0
_CLOCK_S = 0.01
"""A reset that is nearer than this was rounded too much to measure with."""


@dataclass(frozen=True, slots=True)
class Gauge:
    """One limit: a bucket of `limit`, of which `remaining` are left, refilled by `rate` a second (None: not told)."""

    limit: float
    remaining: float
    rate: float | None


@dataclass(frozen=True, slots=True)
class Told:
    """The limits that an answer spoke of."""

    requests: Gauge | None = None
    tokens: Gauge | None = None


def told(headers: Mapping[str, str], now: datetime) -> Told | None:
    """None where the headers name no limit. `headers` are lower-cased or look names up case-insensitively."""
    requests = _gauge(headers, "requests", now)
    tokens = _gauge(headers, "tokens", now) or _gauge(headers, "input-tokens", now)
    return Told(requests, tokens) if requests or tokens else None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait: Retry-After in any form, or when the limit that is used up is filled again."""
    if (milliseconds := number(headers.get("retry-after-ms"))) is not None:
        return min(milliseconds / 1000, LONGEST)
    if said := headers.get("retry-after"):
        seconds = number(said)
        return _bounded(_until(said, now) if seconds is None else seconds)
    waits = []
    for kind in _KINDS:
        for _, remaining, reset in _names(headers, kind):
            if remaining is not None and reset and number(remaining) == 0:
                waits.append(_bounded(_duration(reset, now)))
    return max((wait for wait in waits if wait is not None), default=None)


def number(text: str | None) -> float | None:
    """What a header says, None where it is no number."""
    try:
        return float(text) if text else None
    except ValueError:
        return None


def _names(headers: Mapping[str, str], kind: str) -> list[tuple[str | None, str | None, str | None]]:
    """Limit, remaining and reset of a kind, as OpenAI and as Anthropic call them."""
    words = ("limit", "remaining", "reset")
    openai = [headers.get(f"x-ratelimit-{word}-{kind}") for word in words]
    anthropic = [headers.get(f"anthropic-ratelimit-{kind}-{word}") for word in words]
    return [(found[0], found[1], found[2]) for found in (openai, anthropic)]


def _gauge(headers: Mapping[str, str], kind: str, now: datetime) -> Gauge | None:
    for limit_text, remaining_text, reset_text in _names(headers, kind):
        limit, remaining = number(limit_text), number(remaining_text)
        if limit is None or remaining is None or limit < 1 or not math.isfinite(limit + remaining):
            continue
        left = min(max(remaining, 0.0), limit)
        reset = _bounded(_duration(reset_text, now)) if reset_text else None
        return Gauge(limit, left, _rate(limit, left, reset))
    return None


def _rate(limit: float, remaining: float, reset: float | None) -> float | None:
    """What comes back in a second: a bucket that misses `used` is full again after `reset`.

    `remaining` is a whole number, so that what was really used lies between one less and `used`: of the usual periods
    (a second, a minute, a day) the one that lies between is meant.
    """
    used = limit - remaining
    if reset is None:
        return limit / _USUAL_PERIOD
    if used < 1 or reset < _CLOCK_S:
        return None
    least = reset * limit / used
    most = reset * limit / max(used - 1, 0.05)
    period = next((one for one in _PERIODS if least * 0.8 <= one <= most * 1.2), least)
    return limit / period


def _duration(text: str, now: datetime) -> float | None:
    """`6m0s`, `20ms`, `1.5` (seconds) or a time."""
    if (seconds := number(text)) is not None:
        return seconds
    parts = _DURATION.findall(text)
    if parts and "".join(amount + unit for amount, unit in parts) == text:
        return sum(float(amount) * _SECONDS[unit] for amount, unit in parts)
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


def _bounded(seconds: float | None) -> float | None:
    return None if seconds is None or math.isnan(seconds) else min(max(seconds, 0.0), LONGEST)
