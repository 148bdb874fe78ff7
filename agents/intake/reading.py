"""From a delivery to what intake decides on: a prepared call, a refusal with its reason, or a dead letter."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agents.emit import Reason, dead_letter
from agents.line import Delivery
from agents.tenants import Tenants
from domain.admission.prepare import Origin, Preparer
from domain.caching.generations import Generations, cacheable
from domain.errors import InvalidRequest, Problem
from domain.ledger.model import Claim, Source
from domain.ledger.results import Ending, rejected
from domain.ports import Record
from domain.routing.catalogue import Catalogue
from domain.tracing import Span, Tracing, of_request, received
from topics import headers as head
from topics.base import format_time
from topics.call import PromptCall
from topics.codec import Read, Tombstone, Unreadable, body_hash, read_request, request_hash
from topics.request import PromptRequest
from topics.table import REQUESTS

HORIZON = timedelta(days=10)
"""How long ids are remembered (rule L4); an older record could be a repeat nobody recognises."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """A delivery with a readable id and tenant. `refusal` says why it ends here, if it does."""

    delivery: Delivery
    call: PromptCall
    claim: Claim
    span: Span
    refusal: Ending | None = None
    reject_on_limit: bool = False
    use_cache: bool = True


def read(delivery: Delivery) -> Read | Unreadable | None:
    """None for a tombstone."""
    try:
        return read_request(delivery.value)
    except Tombstone:
        return None
    except Unreadable as error:
        return error


class Reader:
    """Turns what was read into what is claimed. Pure but for the tenants that were loaded before.

    own: of the topics that belong to one tenant, whose they are. Who may write there is that tenant, whatever it says.
    """

    def __init__(
        self,
        preparer: Preparer,
        tenants: Tenants,
        clock: Callable[[], datetime],
        tracing: Tracing,
        generations: Generations | None = None,
        own: Mapping[str, str] | None = None,
    ) -> None:
        self._generations = generations or Generations()
        self._own = own or {}
        self._preparer = preparer
        self._tenants = tenants
        self._clock = clock
        self._tracing = tracing

    @property
    def catalogue(self) -> Catalogue:
        """The models a request may name."""
        return self._preparer.catalogue

    async def load(self, found: Iterable[Read | Unreadable | None]) -> None:
        """Fetch what preparing these needs from outside: named schemas, where there are any. Raises Unavailable."""
        await self._preparer.load(read.request for read in found if isinstance(read, Read))

    def judge(self, delivery: Delivery, read: Read | Unreadable) -> Incoming | Record:
        """What to claim, or the dead letter of what cannot be attributed to a request."""
        logged_at = datetime.fromtimestamp(delivery.timestamp, UTC)
        tenant, id = (read.tenant, read.id) if isinstance(read, Unreadable) else (read.request.tenant, read.request.id)
        if self._clock() - logged_at > HORIZON:
            return self._letter(delivery, "too_old", f"older than the {HORIZON.days} days ids are kept", tenant, id)
        owner = self._own.get(delivery.topic)
        if owner is not None and tenant is not None and tenant != owner:
            reason = (
                f"a request of {tenant!r} on the topic of {owner!r}; a tenant publishes on its own or the shared one"
            )
            return self._letter(delivery, "unknown_tenant", reason, owner, id)
        if tenant is not None and not self._tenants.exists(tenant):
            reason = f"no tenant {tenant!r}; create it with: structured-prompt tenants create {tenant}"
            return self._letter(delivery, "unknown_tenant", reason, tenant, id)
        if isinstance(read, Unreadable):
            if tenant is None or id is None or read.code == "unreadable":
                # an id found in what is not even JSON may be anybody's
                return self._letter(delivery, read.code, read.reason, tenant, id, read.problems)
            return self._unreadable(delivery, read, tenant, id, logged_at)
        return self._readable(delivery, read, logged_at)

    def _readable(self, delivery: Delivery, read: Read, logged_at: datetime) -> Incoming:
        request, digest = read.request, body_hash(read.fields)
        span = self._span(delivery, request.tenant, request.id)
        origin, trouble = _origin(delivery, request_hash(digest), logged_at, span.traceparent)
        refusal = rejected("invalid_request", trouble) if trouble else None
        try:
            prepared = self._preparer.prepare(request, origin)
            call = cacheable(prepared, self._tenants.cache_ttl_s(request.tenant), self._generations)
        except InvalidRequest as error:
            call = _bare_call(request.tenant, request.id, origin, request)
            refusal = rejected(error.code, str(error), error.problems)
        if refusal is None and request.deadline is not None and request.deadline <= self._clock():
            refusal = rejected("deadline_exceeded", "the deadline had passed when the request arrived")
        claim = _claim(delivery, call, digest, request.submitted_at or logged_at, request)
        return Incoming(delivery, call, claim, span, refusal, request.on_limit == "reject", request.cache != "refresh")

    def _unreadable(self, delivery: Delivery, error: Unreadable, tenant: str, id: str, logged_at: datetime) -> Incoming:
        digest = b"\x00" + hashlib.sha256(delivery.value or b"").digest()
        span = self._span(delivery, tenant, id)
        origin, _ = _origin(delivery, request_hash(digest), logged_at, span.traceparent)
        call = _bare_call(tenant, id, origin)
        problems = [Problem(path, message) for path, message in error.problems]
        refusal = rejected("invalid_request", error.reason, problems)
        claim = _claim(delivery, call, digest, logged_at, None)
        return Incoming(delivery, call, claim, span, refusal)

    def _span(self, delivery: Delivery, tenant: str, id: str) -> Span:
        """Of this request's way through intake, in the trace it came with."""
        parent = head.text_of(dict(delivery.headers), head.TRACEPARENT) if delivery.headers else None
        span = self._tracing.start(f"process {REQUESTS}", parent, "consumer")
        if span.recording:
            span.note(received(delivery.topic, delivery.partition, delivery.offset) | of_request(tenant, id))
        return span

    def _letter(
        self,
        delivery: Delivery,
        code: str,
        reason: str,
        tenant: str | None,
        id: str | None,
        problems: tuple[tuple[str, str], ...] = (),
    ) -> Record:
        found = [Problem(path, message) for path, message in problems]
        return dead_letter(delivery, Reason("intake", code, reason, found, tenant, id), self._clock())


def _origin(delivery: Delivery, digest: str, logged_at: datetime, traceparent: str) -> tuple[Origin, str | None]:
    """Where the request came from, and why its headers cannot be passed on, if they cannot."""
    headers = dict(delivery.headers)
    trouble = None
    try:
        carried = tuple(head.carried(delivery.headers))
    except ValueError as error:
        carried, trouble = (), str(error)
    origin = Origin(
        request_hash=digest,
        received_at=logged_at,
        key=delivery.key.decode("latin-1") if delivery.key else None,
        headers=carried,
        reply_to=head.text_of(headers, head.REPLY_TO),
        api_key_id=head.text_of(headers, head.API_KEY),
        traceparent=traceparent,
        streams=head.STREAMS in headers,
        cut_is_answer=head.CUT_IS_ANSWER in headers,
    )
    return origin, trouble


def _bare_call(tenant: str, id: str, origin: Origin, asked: PromptRequest | None = None) -> PromptCall:
    """What a result needs of a request that cannot be worked on."""
    return PromptCall(
        tenant=tenant,
        id=id,
        lane=asked.lane if asked else "standard",
        model="",
        messages=[],
        request_hash=origin.request_hash,
        submitted_at=format_time((asked.submitted_at if asked else None) or origin.received_at),
        tags=asked.tags if asked else {},
        metadata=asked.metadata if asked else {},
        subject=asked.subject if asked else None,
        callback_url=asked.callback_url if asked else None,
        reply_to=origin.reply_to,
        api_key_id=origin.api_key_id,
        traceparent=origin.traceparent,
        key=origin.key,
        headers=list(origin.headers),
    )


def _claim(
    delivery: Delivery, call: PromptCall, digest: bytes, submitted_at: datetime, request: PromptRequest | None
) -> Claim:
    return Claim(
        tenant=call.tenant,
        id=call.id,
        body_hash=digest,
        source=Source(delivery.topic, delivery.partition, delivery.offset),
        call=call.encode(),
        lane=call.lane,
        submitted_at=submitted_at,
        deadline=request.deadline if request else None,
        fail_on_unknown=request is not None and request.on_unknown_outcome == "fail",
        rerun=request is not None and request.rerun,
    )
