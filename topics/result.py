"""PromptResult: the one final answer of a (tenant, id, run)."""

from typing import Any, Literal

from topics.base import Message, Money, RequestId, TenantName, UtcTime

Status = Literal["completed", "failed", "rejected"]
Cached = Literal["exact", "semantic", "coalesced"]
ErrorCode = Literal[
    "invalid_request", "unknown_template", "unknown_model", "id_conflict", "content_blocked",
    "rate_limited", "budget_exceeded", "deadline_exceeded", "cancelled", "refused",
    "invalid_output", "provider_error", "unknown_outcome", "provider_timeout", "internal", "result_too_large",
]  # fmt: skip
RETRYABLE_CODES = frozenset({"rate_limited", "provider_error", "provider_timeout", "unknown_outcome", "internal"})


class FieldError(Message):
    """One reason, at one place: `path` is a JSON pointer (`/output_schema/type`, empty for the whole)."""

    path: str
    message: str


class ResultError(Message):
    """Why there is no answer; `retryable` says whether the same request may succeed later."""

    code: ErrorCode
    message: str
    retryable: bool = False
    attempts: int = 0
    errors: list[FieldError] = []


class Usage(Message):
    """Tokens and dollars of all attempts of this run."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: Money
    attempts: int = 0


class Timings(Message):
    """Milliseconds: from submission to the first call, inside providers, from submission to the result."""

    queued_ms: int
    provider_ms: int
    total_ms: int


class VersionedName(Message):
    """A template or a named schema as it was used."""

    name: str
    version: int


class CacheUse(Message):
    """Of an answer that was not called for: its age in seconds, and what it cost when it was called for."""

    age_s: float
    saved_usd: Money


class PromptResult(Message):
    """`output` is the validated JSON when a schema was given, text otherwise; null unless completed.

    `cache` is there only where `cached` is not null.
    """

    id: RequestId
    tenant: TenantName
    run: int
    status: Status
    output: Any = None
    error: ResultError | None = None
    model: str | None = None
    provider: str | None = None
    cached: Cached | None = None
    cache: CacheUse | None = None
    usage: Usage
    timings: Timings
    template: VersionedName | None = None
    output_schema: VersionedName | None = None
    request_hash: str
    api_key_id: str | None = None
    batch_id: str | None = None
    subject: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    submitted_at: UtcTime
    completed_at: UtcTime
