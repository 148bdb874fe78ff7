"""A job is a request that came through the API: its row exists before the record is produced (rule D1)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Job:
    """`record` is the PromptRequest to produce; `body_hash` tells a repeat from a conflict.

    streams: who waits at `reply_to` wants the text while it is written. Not stored: without it the text comes whole.
    cut_is_answer: a text that its limit cut is one. Not stored: without it such a text leaves a dead letter.
    """

    tenant: str
    id: str
    body_hash: bytes
    record: bytes
    submitted_at: datetime
    api_key_id: str | None = None
    idempotency_key: str | None = None
    traceparent: str | None = None
    reply_to: str | None = None
    streams: bool = False
    cut_is_answer: bool = False


class Submission(StrEnum):
    """What submitting a job met."""

    NEW = "new"
    REPEATED = "repeated"  # the same id with the same body
    CONFLICT = "conflict"  # the same id with another body, or the same idempotency key with another id


@dataclass(frozen=True, slots=True)
class JobView:
    """A line of `GET /v1/jobs`; `state` is accepted, waiting, running, completed, failed, rejected or cancelled.

    `result` is None while unfinished, in listings, and for a finished job whose result is no longer kept.
    `repeated` counts calls of this run that may be paid twice (domain.ledger.model.repeated); 0 in listings.
    `unproduced_s`: seconds since it was submitted, while nobody knows whether its record is with the broker.
    """

    tenant: str
    id: str
    state: str
    run: int
    created_at: datetime
    updated_at: datetime
    error_code: str | None = None
    result: bytes | None = None
    not_before: datetime | None = None
    reason: str | None = None
    repeated: int = 0
    unproduced_s: float | None = None
