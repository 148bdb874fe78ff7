"""An export into a bucket: what was ordered, how far it is, when it is tried again. No I/O, no clock.

    queued -> running -> completed | failed        cancelled from any of the first two

A job that waits for something (the bucket, the usage database) is queued again, with what it waits for as its detail.
Whoever works on one holds it by `fence`, which grows with every take: what a holder before says is refused.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from domain.errors import InvalidRequest, Problem, Unavailable
from domain.exports.model import FIELDS, Export, Format, Status, check_fields

State = Literal["queued", "running", "completed", "failed", "cancelled"]
HOUR = timedelta(hours=1)
LEASE = timedelta(seconds=60)
"""How long a job is its worker's without a word from it."""
GIVE_UP = 24 * HOUR
"""A job that could not be done so long after its order has failed."""
MOST_UNFINISHED = 20
"""Of one tenant."""
PART = 8 * 1024 * 1024
LEAST_PART = 5 * 1024 * 1024
"""S3 takes no smaller part, but for the last one."""
MOST_PARTS = 10_000
URL_S = 3_600
"""How long a signed URL is good."""
_FIRST_S, _LONGEST_S = 5.0, 300.0
_ANSWER = "output"


class StoreTrouble(Unavailable):
    """The bucket cannot be had now; the message says why and what to do, and may be shown to the tenant."""


class UploadGone(StoreTrouble):
    """The upload in parts is not there any more, or is not what it was: begin anew."""


def need_bucket(is_there: bool) -> None:
    """Nothing is ordered that nobody can make. Raises InvalidRequest."""
    if not is_there:
        reason = Problem(
            "/to",
            "no bucket is set up here: set STRUCTURED_PROMPT_EXPORT_S3_BUCKET where the API, this command and "
            "`structured-prompt sink exports`, which makes files, are started (of an embedded stack: `up --exports`)",
        )
        raise InvalidRequest("invalid_request", f"exports into a bucket cannot be made: {reason.message}", (reason,))


@dataclass(frozen=True, slots=True)
class Order:
    """Which results; `fields` None is all that the tenant may have."""

    format: Format
    since: datetime
    until: datetime
    template: str | None = None
    status: Status | None = None
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """What is durable of the file.

    total:   rows it is going to have, None while nobody has counted
    after:   id of the last row in `parts`
    key:     the object that is made, or was
    upload:  of its parts, None where none is under way
    parts:   tags of the parts, in their order
    """

    rows: int = 0
    bytes: int = 0
    total: int | None = None
    after: str = ""
    key: str | None = None
    upload: str | None = None
    parts: tuple[str, ...] = ()

    def anew(self) -> "Progress":
        return Progress(total=self.total)


@dataclass(frozen=True, slots=True)
class Job:
    """A row of the ledger of exports.

    due_at:   when it may be taken: of a running one the end of its lease
    fence:    how often it was taken
    tries:    how often since it last came further
    asked:    SHA-256 of what was asked with an Idempotency-Key, None without one
    """

    tenant: str
    id: str
    order: Order
    created_at: datetime
    due_at: datetime
    schedule: str | None = None
    state: State = "queued"
    detail: str = ""
    fence: int = 0
    tries: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: Progress = Progress()
    asked: bytes | None = None

    def export(self, consents: bool) -> Export:
        """Raises InvalidRequest where a field is not permitted any more."""
        order = self.order
        fields = permitted(order.fields, consents)
        return Export(
            self.tenant, order.format, fields, order.since, order.until, order.template, order.status,
            self.progress.after,
        )  # fmt: skip

    @property
    def ordered(self) -> "Job":
        """As it was when it was ordered, whatever became of it."""
        times = (self.created_at, self.created_at)
        return Job(self.tenant, self.id, self.order, *times, self.schedule, asked=self.asked)

    @property
    def folder(self) -> str:
        """Under which all its objects lie."""
        return f"{self.tenant}/{self.id}/"

    @property
    def file(self) -> str:
        order = self.order
        return f"results-{order.since:%Y%m%dT%H%M%SZ}-{order.until:%Y%m%dT%H%M%SZ}.{order.format}"

    def taken(self, until: datetime, now: datetime) -> "Job":
        return replace(
            self, state="running", detail="", fence=self.fence + 1, tries=self.tries + 1, due_at=until,
            started_at=self.started_at or now,
        )  # fmt: skip


def permitted(fields: Sequence[str] | None, consents: bool) -> tuple[str, ...]:
    """Answers leave only with consent. Raises InvalidRequest where `output` is named without it, or a field unknown."""
    if fields is None:
        return tuple(name for name in FIELDS if consents or name != _ANSWER)
    found = check_fields(fields)
    if _ANSWER in found and not consents:
        reason = "is not permitted: the tenant's answers are not given out (--store-answers, and what sinks carry)"
        place = Problem(f"/fields/{found.index(_ANSWER)}", f"{_ANSWER!r} {reason}")
        raise InvalidRequest("invalid_request", place.message, (place,))
    return found


def again(job: Job, now: datetime, retry_after: float | None) -> datetime | None:
    """When a job that waits is tried again; None when it has waited for long enough."""
    if now - job.created_at >= GIVE_UP:
        return None
    wait = min(_LONGEST_S, _FIRST_S * 2 ** min(max(job.tries, 1) - 1, 10))
    return now + timedelta(seconds=max(wait, retry_after or 0.0))


def id_of_key(tenant: str, key: str) -> str:
    """The id of a job that is ordered with an Idempotency-Key: 128 bits of SHA-256."""
    return "exp_" + hashlib.sha256(f"{tenant}\0{key}".encode()).hexdigest()[:32]


def is_job(text: str) -> bool:
    """Whether this can be the id of one."""
    return re.fullmatch(r"exp_[0-9a-f]{32}", text) is not None
