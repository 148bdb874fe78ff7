"""Endpoints, deliveries and their attempts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal, get_args

from domain.safety import redaction
from domain.webhooks.kinds import Bucket, Kind
from topics.records import EventType

Derived = Literal["request.completed", "request.failed", "request.rejected", "cache.hit", "cache.miss"]
DERIVED: tuple[str, ...] = get_args(Derived)
"""Told by a result, not by an event of its own."""
TYPES: tuple[str, ...] = (*DERIVED, *get_args(EventType))
UNSENT = frozenset({"batch.completed"})
"""Nothing sends these yet: they may be subscribed, so that nobody has to come back, and whoever does is told."""
TEST = "webhook.test"
"""The type of a test event; nobody subscribes to it."""
CALLBACK = "callback:"
"""Before the origin, in the place of an endpoint: deliveries to the `callback_url` of requests."""

Disabled = Literal["gone", "failing"]
"""410 was the answer; nothing was accepted for five days."""
Outcome = Literal["delivered", "failed", "gone", "dropped"]
"""Of an attempt. Dropped: the endpoint was disabled or removed meanwhile, nothing was sent."""
Status = Literal["pending", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a tenant wants its events: a destination. No types are all types; `fields` are those of a result that are
    sent, None is all. Its secret follows from `salt` (signing.py); `old_salt` signs as well until `old_until`.

    bucket, sealed:  of kind s3: where it is, and its secret key under the pepper (sealing.py)
    paused:          what happens is queued, and nothing sent
    last_…:          of its attempts, to within ten seconds; `last_status` and `last_error` of the one that failed
    redact:          kinds of personal data that are replaced in what is sent
    given_up:        deliveries that were given up because too many waited
    """

    tenant: str
    id: str
    url: str
    events: tuple[str, ...]
    salt: bytes
    created_at: datetime
    fields: tuple[str, ...] | None = None
    description: str = ""
    old_salt: bytes | None = None
    old_until: datetime | None = None
    enabled: bool = True
    disabled: Disabled | None = None
    failing_since: datetime | None = None
    kind: Kind = "webhook"
    bucket: Bucket | None = None
    sealed: bytes = b""
    paused: bool = False
    last_success_at: datetime | None = None
    last_error_at: datetime | None = None
    last_status: int | None = None
    last_error: str = ""
    given_up: int = 0
    redact: tuple[redaction.Kind, ...] = ()

    def wants(self, kind: str) -> bool:
        return not self.events or kind in self.events

    @property
    def unsent(self) -> tuple[str, ...]:
        """Of the types that were asked for by name."""
        return tuple(one for one in self.events if one in UNSENT)


@dataclass(frozen=True, slots=True)
class Change:
    """What a PATCH says; None stays as it is. `fields` is () for all of them."""

    url: str | None = None
    events: tuple[str, ...] | None = None
    fields: tuple[str, ...] | None = None
    description: str | None = None
    enabled: bool | None = None
    bucket: Bucket | None = None
    sealed: bytes | None = None
    paused: bool | None = None
    redact: tuple[redaction.Kind, ...] | None = None


@dataclass(frozen=True, slots=True)
class Subscriptions:
    """The enabled endpoints of every tenant that has any, as of `version`."""

    version: int
    endpoints: Mapping[str, Sequence[Endpoint]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way into the queue: once for each (tenant, endpoint, id).

    `id` is what the receiver sees as webhook-id, `at` the time of the event, `url` only that of a callback.
    """

    tenant: str
    endpoint: str
    id: str
    type: str
    at: datetime
    body: bytes
    url: str | None = None

    @property
    def day(self) -> date:
        """Of the event, not of the delivery: a record that is read again falls on its own row."""
        return self.at.date()


@dataclass(frozen=True, slots=True)
class Key:
    """A delivery."""

    tenant: str
    endpoint: str
    id: str
    day: date


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery to be tried now; `tried` attempts were made. `target` is None for a callback, and where the endpoint
    is not there any more.
    """

    key: Key
    type: str
    body: bytes
    tried: int
    url: str | None
    target: Endpoint | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a sender can take: up to `limit` deliveries whose bodies begin within `size` bytes; of each (tenant,
    endpoint) as many as `rooms` says, `other` of one that is not named there. Of a bucket as many objects.
    """

    rooms: Mapping[tuple[str, str], int]
    other: int
    limit: int
    size: int


@dataclass(frozen=True, slots=True)
class Attempt:
    """What was tried and what came back; `head` is the answer's status line and headers, `error` why there is none."""

    at: datetime
    outcome: Outcome
    ms: int = 0
    status: int | None = None
    request: str = ""
    head: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Settlement:
    """An attempt that is over; `again` is when the next one is due, None where there is none."""

    key: Key
    attempt: Attempt
    tried: int
    again: datetime | None


@dataclass(frozen=True, slots=True)
class Mark:
    """What an attempt says of its endpoint: failing since then, well again (None), or to be disabled. `at` is when the
    attempt began; `status` and `error` are those of a failure.
    """

    tenant: str
    endpoint: str
    failing_since: datetime | None
    disabled: Disabled | None = None
    at: datetime | None = None
    status: int | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A line of the log; `attempts` are the last one, or all of them with the body where one delivery is asked for."""

    id: str
    type: str
    at: datetime
    created_at: datetime
    status: Status
    next_attempt_at: datetime | None
    attempts: tuple[Attempt, ...]
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """Deliveries that wait, counted up to a bound, and since when the one that is due longest is due."""

    waiting: int
    due_since: datetime | None


@dataclass(frozen=True, slots=True)
class Queued:
    """What waits for one destination, counted up to a bound, and since when the oldest does."""

    waiting: int = 0
    since: datetime | None = None
