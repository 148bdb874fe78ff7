"""From the body of a POST to the job it asks for: decoded, completed, and refused for all that intake would refuse."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import uuid_utils

from api.authentication import Caller
from api.problems import Problem, of_invalid, of_unreadable
from domain.admission.prepare import Origin, Preparer
from domain.errors import InvalidRequest
from domain.errors import Problem as Reason
from domain.jobs.model import Job
from topics import codec
from topics.base import format_time
from topics.request import PromptRequest

MAX_KEY_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Ask:
    """A POST that starts work. A `synchronous` one is rejected at a limit unless it says otherwise.

    streams: its text is wanted while it is written. cut_is_answer: a text that its limit cut is one. signed: it came
    without a key of ours.
    """

    caller: Caller
    body: bytes
    synchronous: bool
    traceparent: str
    idempotency_key: str | None = None
    streams: bool = False
    cut_is_answer: bool = False
    signed: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """A job to submit. `keyed`: its id comes from the Idempotency-Key, so that a repeat is a replay."""

    job: Job
    request: PromptRequest
    keyed: bool


class Reader:
    """Reads asks. `now` is the clock; `instance` is who waits for the replies of synchronous ones."""

    def __init__(self, preparer: Preparer, instance: str, now: Callable[[], datetime]) -> None:
        self._preparer = preparer
        self._instance = instance
        self._now = now

    async def read(self, ask: Ask) -> Submission:
        """Raises Problem: invalid_request, unknown_template, unknown_model, too_large; Unavailable."""
        now = self._now()
        try:
            fields = codec.read_object(ask.body)
            keyed = _complete(fields, ask, now)
            request = codec.check_request(fields, ask.body).request
            digest = codec.body_hash(fields)
            await self._preparer.load((request,))
            self._preparer.prepare(request, Origin(codec.request_hash(digest), now))
        except codec.Unreadable as error:
            raise of_unreadable(error) from None
        except InvalidRequest as error:
            raise of_invalid(error) from None
        return Submission(self._job(ask, request, _record(fields), digest), request, keyed)

    def _job(self, ask: Ask, request: PromptRequest, record: bytes, digest: bytes) -> Job:
        return Job(
            tenant=request.tenant,
            id=request.id,
            body_hash=digest,
            record=record,
            submitted_at=request.submitted_at or self._now(),
            api_key_id=None if ask.signed else ask.caller.key.id,
            idempotency_key=ask.idempotency_key,
            traceparent=ask.traceparent,
            reply_to=self._instance if ask.synchronous else None,
            streams=ask.streams,
            cut_is_answer=ask.cut_is_answer,
        )


def id_of_key(tenant: str, idempotency_key: str) -> str:
    """The id of a request that names none (rule D1): 128 bits of SHA-256."""
    return "key-" + hashlib.sha256(f"{tenant}\0{idempotency_key}".encode()).hexdigest()[:32]


def checked_key(value: str | None) -> str | None:
    """An Idempotency-Key header. Raises Problem when it is empty, too long or not printable ASCII."""
    if value is None or (0 < len(value) <= MAX_KEY_LENGTH and value.isascii() and value.isprintable()):
        return value
    reason = Reason("/header/Idempotency-Key", f"1 to {MAX_KEY_LENGTH} printable ASCII characters")
    raise Problem("invalid_request", "the Idempotency-Key is not usable", (reason,))


def _complete(fields: dict[str, Any], ask: Ask, now: datetime) -> bool:
    """Fill in what the body may leave out; True when the id comes from the Idempotency-Key."""
    tenant = ask.caller.tenant.name
    if fields.get("tenant") is None:
        fields["tenant"] = tenant
    elif fields["tenant"] != tenant:
        reason = Reason("/tenant", "leave it out: the API key decides the tenant")
        raise Problem("invalid_request", "the tenant in the body is not the API key's", (reason,))
    if fields.get("submitted_at") is None:
        fields["submitted_at"] = format_time(now)
    if ask.synchronous:
        fields.setdefault("on_limit", "reject")
    if fields.get("id") is not None:
        return False
    if ask.idempotency_key is None:
        fields["id"] = str(uuid_utils.uuid7())
        return False
    fields["id"] = id_of_key(tenant, ask.idempotency_key)
    return True


def _record(fields: dict[str, Any]) -> bytes:
    record = orjson.dumps(fields)
    if len(record) > codec.MAX_BYTES:
        detail = f"{len(record)} bytes with id, tenant and time filled in; a request may have {codec.MAX_BYTES}"
        raise Problem("too_large", detail)
    return record
