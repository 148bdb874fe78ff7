"""The durable queue of deliveries in PostgreSQL: one transaction to take a batch, one statement for all else."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from connectors.postgres.halving import halving
from connectors.postgres.pool import BadData, Pool, columns
from connectors.postgres.queries import statements
from connectors.postgres.texts import bucket, stored
from domain.errors import BatchRefused
from domain.ports.webhooks import REDELIVERED
from domain.webhooks.model import (
    Attempt,
    Backlog,
    Delivery,
    Due,
    Endpoint,
    Key,
    Message,
    Queued,
    Settlement,
    Status,
    Wish,
)
from domain.webhooks.rooms import Lane
from domain.webhooks.schedule import given_up

_SQL = statements("deliveries")
_INFINITY = 9999
"""The year of a lane without a queue, as asyncpg reads it."""
GIVEN_UP_AT_ONCE = 5_000


class PostgresDeliveries:
    """Implements domain.ports.Deliveries."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def put(self, batch: Sequence[Message], now: datetime) -> int:
        newest = {(one.tenant, one.endpoint, one.id): one for one in batch}
        given = [
            (one.tenant, one.endpoint, one.id, one.day, one.type, one.at, one.url, one.body)
            for one in (newest[key] for key in sorted(newest))
        ]
        if not given:
            return 0
        try:
            row = await self._pool.row(_SQL["put"], *columns(given, 8), now)
        except BadData as error:
            raise BatchRefused(str(error)) from error
        return 0 if row is None else int(row["fresh"])

    async def take(self, wish: Wish, now: datetime, until: datetime) -> list[Due]:
        named = json.dumps({f"{tenant} {endpoint}": room for (tenant, endpoint), room in wish.rooms.items()})
        async with self._pool.transaction() as one:
            lanes = await one.fetch(_SQL["lanes"], named, wish.other, now, wish.limit)
            if not lanes:
                return []
            tenants, endpoints, at_once, rooms = columns([tuple(row) for row in lanes], 4)
            given = (tenants, endpoints, rooms, now, until, wish.limit, wish.size, at_once)
            return [_due(row) for row in await one.fetch(_SQL["take"], *given)]

    async def settle(self, batch: Sequence[Settlement]) -> None:
        newest = {(one.key.tenant, one.key.endpoint, one.key.id): one for one in batch}
        await halving([newest[key] for key in sorted(newest)], self._settle)

    async def again(self, tenant: str, endpoint: str, id: str, now: datetime) -> bool:
        return bool(await self._pool.fetch(_SQL["again"], tenant, endpoint, id, now))

    async def again_all(self, tenant: str, endpoint: str, since: datetime, now: datetime) -> tuple[int, bool]:
        row = await self._pool.row(_SQL["again_all"], tenant, endpoint, since, now, REDELIVERED)
        return (0, False) if row is None else (row["later"] + row["failed"], row["failed"] == REDELIVERED)

    async def queued(self, tenant: str, endpoints: Sequence[str], most: int) -> Mapping[str, Queued]:
        rows = await self._pool.fetch(_SQL["queued"], tenant, list(endpoints), most)
        return {row["endpoint"]: Queued(row["waiting"], row["since"]) for row in rows}

    async def trim(self, most: int, now: datetime) -> int:
        gone, hour_ago = 0, now - timedelta(hours=1)
        for row in await self._pool.fetch(_SQL["crowded"], most, hour_ago):
            place = (row["tenant"], row["endpoint"], row["known"], hour_ago, most, GIVEN_UP_AT_ONCE, now)
            done = await self._pool.row(_SQL["give_up"], *place, given_up(most))
            gone += 0 if done is None else done["gone"]
        return gone

    async def page(self, tenant: str, endpoint: str, limit: int, before: tuple[datetime, str] | None) -> list[Delivery]:
        rows = await self._pool.fetch(_SQL["page"], tenant, endpoint, *(before or (None, None)), limit)
        return [_delivery(row, _attempts([row])) for row in rows]

    async def get(self, tenant: str, endpoint: str, id: str) -> Delivery | None:
        rows = await self._pool.fetch(_SQL["get"], tenant, endpoint, id)
        return _delivery(rows[0], _attempts(rows), rows[0]["body"]) if rows else None

    async def backlog(self, held: Collection[Lane] = ()) -> Backlog:
        row = await self._pool.row(_SQL["backlog"], *columns(list(held), 2))
        due = None if row is None else row["due_since"]
        return Backlog(row["waiting"] if row else 0, None if due is None or due.year == _INFINITY else due)

    async def sweep(self, before: date) -> None:
        """Forget deliveries of events from before that day (UTC), except days of which any still waits."""
        row = await self._pool.row(_SQL["oldest_waiting"])
        waiting = None if row is None else row["day"]
        limit = before if waiting is None else min(before, waiting)
        for row in await self._pool.fetch(_SQL["days"]):
            day = row["name"].rpartition("_")[2]
            if day.isdigit() and date.fromisoformat(day) < limit:
                # the name is the catalogue's
                # nosemgrep: sql-built-from-strings
                await self._pool.fetch(f"DROP TABLE IF EXISTS {row['name']}")
        for table in ("deliveries", "delivery_attempts"):
            await self._pool.fetch(_SQL[f"forget_{table}_in_default"], limit)
        await self._pool.fetch(_SQL["forget_lanes"])

    async def _settle(self, batch: Sequence[Settlement]) -> list[None]:
        await self._pool.fetch(_SQL["settle"], *columns([_settled(one) for one in batch], 13))
        return [None] * len(batch)


def _settled(one: Settlement) -> tuple[Any, ...]:
    key, attempt = one.key, one.attempt
    texts = (stored(attempt.request), stored(attempt.head), stored(attempt.error))
    return (
        key.tenant, key.endpoint, key.id, key.day, attempt.at, attempt.outcome, attempt.ms, attempt.status, *texts,
        one.tried, one.again,
    )  # fmt: skip


def _due(row: Any) -> Due:
    key = Key(row["tenant"], row["endpoint"], row["id"], row["day"])
    target = None
    if row["target"] is not None:
        target = Endpoint(
            row["tenant"], row["target"], row["url"], tuple(row["events"]), row["salt"], row["created_at"],
            old_salt=row["old_salt"], old_until=row["old_until"], enabled=row["enabled"],
            failing_since=row["failing_since"], kind=row["kind"], bucket=bucket(row["bucket"]),
            sealed=row["sealed"] or b"", last_success_at=row["last_success_at"], last_error_at=row["last_error_at"],
        )  # fmt: skip
    url = row["callback"] or (target.url if target is not None else None)
    return Due(key, row["type"], row["body"], row["tried"], url, target)


def _attempts(rows: Sequence[Any]) -> tuple[Attempt, ...]:
    names = ("at", "outcome", "ms", "status", "request", "head", "error")
    return tuple(Attempt(**{name: row[name] for name in names}) for row in rows if row["at"] is not None)


def _delivery(row: Any, attempts: tuple[Attempt, ...], body: bytes | None = None) -> Delivery:
    done = bool(attempts) and attempts[-1].outcome == "delivered"
    status: Status = "pending" if row["waiting"] else "delivered" if done else "failed"
    return Delivery(
        row["id"], row["type"], row["event_at"], row["created_at"], status, row["next_at"], attempts, body
    )  # fmt: skip
