"""Where tenants want their events, and the durable queue of what is to be sent there."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from domain.webhooks.kinds import Bucket, Kind
from domain.webhooks.model import (
    Backlog,
    Change,
    Delivery,
    Due,
    Endpoint,
    Mark,
    Message,
    Queued,
    Settlement,
    Subscriptions,
    Wish,
)
from domain.webhooks.rooms import Lane
from domain.webhooks.schedule import Heard

REDELIVERED = 10_000


class Endpoints(Protocol):
    """Endpoints of tenants. A change holds for every event whose record is read after it. Tenants are walls."""

    async def add(self, endpoint: Endpoint) -> None: ...

    async def get(self, tenant: str, id: str) -> Endpoint | None: ...

    async def page(
        self, tenant: str, limit: int, before: tuple[datetime, str] | None, kind: Kind | None = None
    ) -> list[Endpoint]:
        """Newest first, of one kind or of all; `before` is (created_at, id) of the last one seen."""
        ...

    async def change(self, tenant: str, id: str, change: Change) -> Endpoint | None:
        """As it is now. One that is enabled again is well again. None when there is none."""
        ...

    async def rotate(self, tenant: str, id: str, salt: bytes, old_until: datetime) -> Endpoint | None:
        """Another salt; the one so far stays beside it until then. None when there is none."""
        ...

    async def delete(self, tenant: str, id: str) -> bool:
        """With everything that waits for it. False when there is none."""
        ...

    async def subscriptions(self, known: int) -> Subscriptions | None:
        """None while `known` is the newest version: one small question a batch."""
        ...

    async def mark(self, marks: Sequence[Mark]) -> None:
        """What attempts say of their endpoints. Who was disabled is untold until `told`."""
        ...

    async def untold(self) -> list[Endpoint]:
        """Endpoints that were disabled by us, and nobody was told."""
        ...

    async def told(self, endpoints: Sequence[Endpoint]) -> None: ...


class Deliveries(Protocol):
    """The durable queue and its log. `now` is given: several processes work on it, each by its own clock."""

    async def put(self, batch: Sequence[Message], now: datetime) -> int:
        """Durable when this returns, each (tenant, endpoint, id) once; how many are new. Raises BatchRefused where one
        of them cannot be stored."""
        ...

    async def take(self, wish: Wish, now: datetime, until: datetime) -> list[Due]:
        """Deliveries that are due, nobody else's until `until`. Who waits longest comes first. Nothing of those that
        are paused; what goes into a bucket is due all at once, its `every_s` after the first of it came.
        """
        ...

    async def settle(self, batch: Sequence[Settlement]) -> None:
        """Attempts that are over, into the log; what is tried again stays in the queue. Twice is once."""
        ...

    async def again(self, tenant: str, endpoint: str, id: str, now: datetime) -> bool:
        """To be sent anew, with the whole schedule. False when it is not kept any more."""
        ...

    async def page(self, tenant: str, endpoint: str, limit: int, before: tuple[datetime, str] | None) -> list[Delivery]:
        """Newest first, each with its last attempt; `before` is (created_at, id) of the last one seen."""
        ...

    async def get(self, tenant: str, endpoint: str, id: str) -> Delivery | None:
        """With its body and all attempts, oldest first."""
        ...

    async def again_all(self, tenant: str, endpoint: str, since: datetime, now: datetime) -> tuple[int, bool]:
        """What waits for a later attempt, and what was put since then and has failed or was given up, is due now; how
        many those are, and whether there are more: at most REDELIVERED that failed at a time.
        """
        ...

    async def queued(self, tenant: str, endpoints: Sequence[str], most: int) -> Mapping[str, Queued]:
        """What waits for each, counted up to `most`."""
        ...

    async def trim(self, most: int, now: datetime) -> int:
        """Give up the oldest of what waits for those that accept nothing or are paused, beyond `most` for each; how
        many those were. They stay in the log. Of callbacks, what waits for more than an hour counts.
        """
        ...

    async def backlog(self, held: Collection[Lane] = ()) -> Backlog:
        """All that waits; who is due longest is looked for among the other destinations than `held`."""
        ...


class Outlet(Protocol):
    """The way out: one request to somebody else's URL. Raises nothing: no answer is an answer."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Heard:
        """What came of it, within the time a receiver has (15 s)."""
        ...

    async def store(self, bucket: Bucket, secret: str, key: str, body: bytes) -> Heard:
        """What came of putting an object, within 30 s."""
        ...
