"""Endpoints and the queue of deliveries in this process: the twins of those in connectors/postgres."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.ports.webhooks import REDELIVERED
from domain.webhooks.kinds import PER_OBJECT, Bucket, Kind
from domain.webhooks.model import (
    Attempt,
    Backlog,
    Change,
    Delivery,
    Due,
    Endpoint,
    Key,
    Mark,
    Message,
    Queued,
    Settlement,
    Subscriptions,
    Wish,
)
from domain.webhooks.rooms import Lane
from domain.webhooks.schedule import Heard, given_up


class MemoryEndpoints:
    """Implements domain.ports.Endpoints."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Endpoint] = {}
        self._untold: set[tuple[str, str]] = set()
        self._version = 1

    async def add(self, endpoint: Endpoint) -> None:
        self.rows[endpoint.tenant, endpoint.id] = endpoint
        self._version += 1

    async def get(self, tenant: str, id: str) -> Endpoint | None:
        return self.rows.get((tenant, id))

    async def page(
        self, tenant: str, limit: int, before: tuple[datetime, str] | None, kind: Kind | None = None
    ) -> list[Endpoint]:
        own = [one for one in self.rows.values() if one.tenant == tenant and kind in (None, one.kind)]
        own.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        return [one for one in own if before is None or (one.created_at, one.id) < before][:limit]

    async def change(self, tenant: str, id: str, change: Change) -> Endpoint | None:
        row = self.rows.get((tenant, id))
        if row is None:
            return None
        names = ("url", "events", "description", "enabled", "bucket", "sealed", "paused", "redact")
        said = {name: getattr(change, name) for name in names}
        row = replace(row, **{name: value for name, value in said.items() if value is not None})
        if change.fields is not None:
            row = replace(row, fields=change.fields or None)
        if change.enabled:
            row = replace(row, disabled=None, failing_since=None)
            self._untold.discard((tenant, id))
        await self.add(row)
        return row

    async def rotate(self, tenant: str, id: str, salt: bytes, old_until: datetime) -> Endpoint | None:
        row = self.rows.get((tenant, id))
        if row is None:
            return None
        row = self.rows[tenant, id] = replace(row, salt=salt, old_salt=row.salt, old_until=old_until)
        return row

    async def delete(self, tenant: str, id: str) -> bool:
        self._version += 1
        return self.rows.pop((tenant, id), None) is not None

    async def subscriptions(self, known: int) -> Subscriptions | None:
        if known == self._version:
            return None
        found: defaultdict[str, list[Endpoint]] = defaultdict(list)
        for one in self.rows.values():
            if one.enabled:
                found[one.tenant].append(one)
        return Subscriptions(self._version, dict(found))

    async def mark(self, marks: Sequence[Mark]) -> None:
        for one in sorted(marks, key=lambda one: one.disabled or ""):
            key = (one.tenant, one.endpoint)
            row = self.rows.get(key)
            if row is None or not row.enabled:
                continue
            since = None if one.failing_since is None else row.failing_since or one.failing_since
            row = replace(row, failing_since=since, enabled=one.disabled is None, disabled=one.disabled)
            if one.failing_since is None:
                self.rows[key] = replace(row, last_success_at=one.at or row.last_success_at)
            else:
                at = one.at or row.last_error_at
                self.rows[key] = replace(row, last_error_at=at, last_status=one.status, last_error=one.error)
            if one.disabled is not None:
                self._untold.add(key)
                self._version += 1

    async def untold(self) -> list[Endpoint]:
        return [self.rows[key] for key in sorted(self._untold) if key in self.rows]

    async def told(self, endpoints: Sequence[Endpoint]) -> None:
        self._untold -= {(one.tenant, one.id) for one in endpoints}


@dataclass(slots=True)
class _Row:
    message: Message
    created_at: datetime
    attempts: list[Attempt] = field(default_factory=list)


@dataclass(slots=True)
class _Waiting:
    tried: int
    next_at: datetime
    since: datetime


class MemoryDeliveries:
    """Implements domain.ports.Deliveries, beside the endpoints it looks at."""

    def __init__(self, endpoints: MemoryEndpoints) -> None:
        self._endpoints = endpoints
        self._rows: dict[tuple[str, str, str], _Row] = {}
        self._queue: dict[tuple[str, str, str], _Waiting] = {}

    async def put(self, batch: Sequence[Message], now: datetime) -> int:
        fresh = 0
        for one in batch:
            key = (one.tenant, one.endpoint, one.id)
            if key not in self._rows:
                self._rows[key] = _Row(one, now)
                self._queue[key] = _Waiting(0, self._first(key[:2], now), now)
                fresh += 1
        return fresh

    async def take(self, wish: Wish, now: datetime, until: datetime) -> list[Due]:
        due = sorted((row.next_at, key) for key, row in self._queue.items() if row.next_at <= now)
        limit = wish.limit * max((self._at_once(key[:2]) for _, key in due), default=1)
        places = {lane: room * self._at_once(lane) for lane, room in wish.rooms.items()}
        taken: defaultdict[tuple[str, str], int] = defaultdict(int)
        found: list[Due] = []
        for _, key in due:
            lane = key[:2]
            room = places.get(lane, wish.other * self._at_once(lane))
            fits = len(found) < limit and sum(len(one.body) for one in found) < wish.size
            if fits and taken[lane] < room and not self._is_gone(key) and not self._is_paused(lane):
                taken[lane] += 1
                self._queue[key].next_at = until
                found.append(self._due(key))
        return found

    async def settle(self, batch: Sequence[Settlement]) -> None:
        for one in batch:
            key = (one.key.tenant, one.key.endpoint, one.key.id)
            row = self._rows[key]
            if all(known.at != one.attempt.at for known in row.attempts):
                row.attempts.append(one.attempt)
            if one.again is None:
                self._queue.pop(key, None)
            elif key in self._queue:
                self._queue[key] = replace(self._queue[key], tried=one.tried, next_at=one.again)

    async def again(self, tenant: str, endpoint: str, id: str, now: datetime) -> bool:
        key = (tenant, endpoint, id)
        if key in self._rows:
            waiting = self._queue.get(key)
            self._queue[key] = _Waiting(0, now, waiting.since if waiting else now)
        return key in self._rows

    async def again_all(self, tenant: str, endpoint: str, since: datetime, now: datetime) -> tuple[int, bool]:
        later = [key for key, one in self._queue.items() if one.next_at > now + timedelta(minutes=1)]
        own = [key for key in later if key[:2] == (tenant, endpoint)]
        for key in own:
            self._queue[key] = _Waiting(0, now, self._queue[key].since)
        failed = [
            key for key, row in self._rows.items()
            if key[:2] == (tenant, endpoint) and row.created_at >= since and key not in self._queue
            and all(attempt.outcome != "delivered" for attempt in row.attempts)
        ][:REDELIVERED]  # fmt: skip
        self._queue |= {key: _Waiting(0, now, now) for key in failed}
        return len(own) + len(failed), len(failed) == REDELIVERED

    async def queued(self, tenant: str, endpoints: Sequence[str], most: int) -> Mapping[str, Queued]:
        found = {}
        for name in endpoints:
            since = [one.since for key, one in self._queue.items() if key[:2] == (tenant, name)][:most]
            if since:
                found[name] = Queued(len(since), min(since))
        return found

    async def trim(self, most: int, now: datetime) -> int:
        over: list[tuple[str, str, str]] = []
        for lane in sorted({key[:2] for key in self._queue}):
            target = self._endpoints.rows.get(lane)
            if target is not None and target.failing_since is None and not target.paused:
                continue
            own = [(one.since, key[2]) for key, one in self._queue.items() if key[:2] == lane]
            counted = [one for one in own if target is not None or one[0] < now - timedelta(hours=1)]
            gone = [(*lane, id) for _, id in sorted(counted, reverse=True)[most:]]
            if target is not None:
                self._endpoints.rows[lane] = replace(target, given_up=target.given_up + len(gone))
            over += gone
        for key in over:
            del self._queue[key]
            self._rows[key].attempts.append(Attempt(now, "dropped", error=given_up(most)))
        return len(over)

    async def page(self, tenant: str, endpoint: str, limit: int, before: tuple[datetime, str] | None) -> list[Delivery]:
        own = [self._shown(key) for key in self._rows if key[:2] == (tenant, endpoint)]
        own.sort(key=lambda one: (one.created_at, one.id), reverse=True)
        rest = [one for one in own if before is None or (one.created_at, one.id) < before]
        return [replace(one, attempts=one.attempts[-1:], body=None) for one in rest[:limit]]

    async def get(self, tenant: str, endpoint: str, id: str) -> Delivery | None:
        key = (tenant, endpoint, id)
        return self._shown(key) if key in self._rows else None

    async def backlog(self, held: Collection[Lane] = ()) -> Backlog:
        lanes = {key[:2] for key in self._queue} - set(held)
        due = [row.next_at for key, row in self._queue.items() if key[:2] in lanes and not self._is_paused(key[:2])]
        return Backlog(len(self._queue), min(due, default=None))

    def _at_once(self, lane: tuple[str, str]) -> int:
        target = self._endpoints.rows.get(lane)
        return PER_OBJECT if target is not None and target.bucket is not None else 1

    def _first(self, lane: tuple[str, str], now: datetime) -> datetime:
        """When a new row of it is due: with those that wait already, or a bucket's while from now."""
        target = self._endpoints.rows.get(lane)
        if target is None or target.bucket is None:
            return now
        own = [one.next_at for key, one in self._queue.items() if key[:2] == lane and one.next_at > now]
        return min([now + timedelta(seconds=target.bucket.every_s), *own])

    def _is_paused(self, lane: tuple[str, str]) -> bool:
        target = self._endpoints.rows.get(lane)
        return target is not None and target.paused

    def _is_gone(self, key: tuple[str, str, str]) -> bool:
        """An endpoint that was removed took its queue with it."""
        callback = self._rows[key].message.url is not None
        return not callback and key[:2] not in self._endpoints.rows

    def _due(self, key: tuple[str, str, str]) -> Due:
        message, target = self._rows[key].message, self._endpoints.rows.get(key[:2])
        url = message.url or (target.url if target is not None else None)
        return Due(Key(*key, message.day), message.type, message.body, self._queue[key].tried, url, target)

    def _shown(self, key: tuple[str, str, str]) -> Delivery:
        row, waiting = self._rows[key], self._queue.get(key)
        done = bool(row.attempts) and row.attempts[-1].outcome == "delivered"
        message = row.message
        return Delivery(
            message.id, message.type, message.at, row.created_at,
            "pending" if waiting else "delivered" if done else "failed", waiting.next_at if waiting else None,
            tuple(row.attempts), message.body,
        )  # fmt: skip


@dataclass(slots=True)
class Posted:
    """What a receiver got."""

    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Stored:
    """An object as a bucket got it."""

    bucket: Bucket
    secret: str
    key: str
    body: bytes


class MemoryOutlet:
    """Implements domain.ports.Outlet: answers by a script, then `then`, and remembers what it got."""

    def __init__(self, script: Sequence[Heard] = (), then: Heard = Heard(204, 0.01)) -> None:  # noqa: B008 - frozen
        self.script = list(script)
        self.then = then
        self.posted: list[Posted] = []
        self.stored: list[Stored] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Heard:
        self.posted.append(Posted(url, headers, body))
        return self.script.pop(0) if self.script else self.then

    async def store(self, bucket: Bucket, secret: str, key: str, body: bytes) -> Heard:
        self.stored.append(Stored(bucket, secret, key, body))
        return self.script.pop(0) if self.script else self.then
