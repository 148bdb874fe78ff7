"""A body as Zapier or Make would get it, to map fields by before anything has happened. Pure.

It has every field that a body of its type can have: a field that is not in the sample cannot be mapped.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from domain.webhooks.flat import flat
from domain.webhooks.model import DERIVED
from domain.webhooks.payload import message_id
from topics.base import format_time
from topics.codec import encode
from topics.result import PromptResult

_REQUEST = {"id": "order-981", "run": 1}
_PROVIDER = {"deployment": "openai/gpt-4o-mini", "provider": "openai", "model": "gpt-4o-mini", "failures": 41}
_BUDGET = {
    "budget": "month of acme", "period": "month", "limit_usd": "100", "spent_usd": "81.5", "reserved_usd": "0.25",
}  # fmt: skip
_EVENTS: Mapping[str, Mapping[str, Any]] = {
    "request.waiting": {**_REQUEST, "reason": "limit", "epoch": 1},
    "request.cancelled": {**_REQUEST, "code": "cancelled"},
    "error.occurred": {**_REQUEST, "code": "provider_error", "reason": "openai/gpt-4o-mini answered 500"},
    "rate_limit.exceeded": {**_REQUEST, "wait_s": 1.25, "rejected": False, "epoch": 1},
    "budget.threshold": {**_BUDGET, "percent": 80},
    "budget.exceeded": {**_BUDGET, "percent": 100},
    "provider.degraded": {**_PROVIDER, "answers": 9120},
    "provider.recovered": {**_PROVIDER, "answers": 9120},
    "webhook.disabled": {"endpoint": "zap_0197", "reason": "failing"},
}
_TIMES = {
    "request.waiting": ("until",),
    "budget.threshold": ("period_start", "period_end"),
    "budget.exceeded": ("period_start", "period_end"),
    "webhook.disabled": ("failing_since",),
}


def sample(kind: str, at: datetime) -> dict[str, Any]:
    """Of one of TYPES; times are `at`."""
    if kind in DERIVED:
        data = _result(kind, at)
    else:
        data = {**_EVENTS.get(kind, {}), **dict.fromkeys(_TIMES.get(kind, ()), format_time(at))}
    return flat(kind, message_id("acme", "sample", kind), format_time(at), data)


def _result(kind: str, at: datetime) -> Mapping[str, Any]:
    """As the line writes it, so that the names are those of what is sent."""
    status = kind.removeprefix("request.") if kind.startswith("request.") else "completed"
    hit, answered = kind == "cache.hit", status == "completed"
    error = {"code": "invalid_output", "message": "the answer does not fit its schema", "attempts": 2}
    found: dict[str, Any] = {
        **_REQUEST, "tenant": "acme", "status": status, "model": "small", "provider": "simulated",
        "output": {"label": "negative"} if answered else None, "error": None if answered else error,
        "cached": "exact" if hit else None, "cache": {"age_s": 12.5, "saved_usd": "0.0000094"} if hit else None,
        "usage": {"input_tokens": 31, "output_tokens": 8, "cost_usd": "0.0000094", "attempts": 1},
        "timings": {"queued_ms": 4, "provider_ms": 412, "total_ms": 421},
        "template": {"name": "sentiment", "version": 2}, "output_schema": {"name": "sentiment", "version": 1},
        "request_hash": "sha256:00", "api_key_id": "key_0197", "batch_id": "batch_0197", "subject": "customer-7",
        "tags": {"team": "support"}, "metadata": {"ticket": "4711"}, "submitted_at": at, "completed_at": at,
    }  # fmt: skip
    known: Mapping[str, Any] = orjson.loads(encode(PromptResult.model_validate(found)))
    return known
