"""What else leaves the line: a usage record a provider attempt, lifecycle events, dead letters."""

from typing import Any, Literal

from topics.base import Message, Money, UtcTime
from topics.result import FieldError, VersionedName

Outcome = Literal["ok", "invalid_output", "refused", "length", "rate_limited", "timeout", "error", "unknown"]
EventType = Literal[
    "request.waiting", "request.cancelled", "error.occurred", "rate_limit.exceeded", "budget.threshold",
    "budget.exceeded", "provider.degraded", "provider.recovered", "batch.completed", "webhook.disabled",
]  # fmt: skip
DeadLetterCode = Literal[
    "unreadable", "invalid_request", "unknown_tenant", "too_old", "too_large",
    "invalid_output", "provider_error", "provider_timeout", "unknown_outcome", "internal", "refused_by_sink",
]  # fmt: skip


class UsageRecord(Message):
    """One attempt at a provider, numbered from 1 within its run. `at` is when it was sent.

    `repaired` says that the answer was JSON only after its punctuation was put right; left out where false.
    """

    id: str
    tenant: str
    run: int
    attempt: int
    api_key_id: str | None = None
    provider: str
    model: str
    template: VersionedName | None = None
    tags: dict[str, str] = {}
    outcome: Outcome
    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Money
    price_version: str
    latency_ms: int
    provider_request_id: str | None = None
    repaired: bool = False
    at: UtcTime


EVERYBODY = ""
"""The tenant of an event that concerns all of them: what happens to a provider."""


class LifecycleEvent(Message):
    """Something rare that happened; `event_id` is derived from the row, so that a repeat is recognised.

    tenant: empty where it concerns all of them.
    """

    event_id: str
    type: EventType
    tenant: str
    id: str | None = None
    run: int | None = None
    at: UtcTime
    data: dict[str, Any] = {}


class DeadLetter(Message):
    """A record nobody could finish, kept whole: `value` and `key` are base64 of the original bytes.

    Above 1 MiB `value` holds the first 64 KiB; `size` and `sha256` always describe the original.
    `tenant`, `id` and `run` are null where they could not be read.
    """

    topic: str
    partition: int
    offset: int
    timestamp: UtcTime
    key: str | None = None
    headers: list[tuple[str, str]] = []
    value: str | None = None
    size: int
    sha256: str
    stage: str
    attempts: int = 0
    code: DeadLetterCode
    reason: str
    errors: list[FieldError] = []
    tenant: str | None = None
    id: str | None = None
    run: int | None = None
    first_seen: UtcTime
    last_seen: UtcTime


class ControlMessage(Message):
    """A change every process must hear of: cache invalidation, key revocation, configuration."""

    type: Literal["cache.invalidate", "key.revoked", "tenant.changed"]
    subject: str
    data: dict[str, Any] = {}
    at: UtcTime
