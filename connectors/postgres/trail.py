"""The audit log in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import orjson
import uuid_utils

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from connectors.postgres.texts import stored
from domain.ports.trail import Pen
from domain.trail.model import Acting, Change, Entry, State, Wanted, acting
from domain.trail.safe import safe

_SQL = statements("trail")


class PostgresTrail:
    """Implements domain.ports.Trail, for repositories that have the same pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def together(self, place: str) -> AsyncIterator[Pen]:
        async with self._pool.together():
            if place:
                await self._pool.fetch(_SQL["wait"], place)
            yield self._add

    async def page(self, wanted: Wanted, limit: int, before: tuple[datetime, str] | None) -> list[Entry]:
        statement = _SQL["page_of_all" if wanted.tenant is None else "page"]
        filters = (wanted.tenant, wanted.action, wanted.type, wanted.id, wanted.key_id, wanted.since, wanted.until)
        rows = await self._pool.fetch(statement, *filters, *(before or (None, None)), limit)
        return [_entry(row) for row in rows]

    async def forget(self, before: datetime) -> int:
        return len(await self._pool.fetch(_SQL["forget"], before))

    async def _add(self, change: Change) -> None:
        who, id = acting(), f"aud_{uuid_utils.uuid7().hex}"
        by = (who.kind, who.tenant, who.key_id, stored(who.request_id), stored(who.address))
        what = (change.action, change.type, stored(change.id), _text(change.before), _text(change.after))
        await self._pool.fetch(_SQL["add"], change.tenant, id, *by, *what)


def _text(state: State) -> str | None:
    return None if state is None else stored(orjson.dumps(safe(state)).decode())


def _entry(row: Any) -> Entry:
    who = Acting(row["actor"], row["actor_tenant"], row["key_id"], row["request_id"], row["address"])
    states = (None if row[name] is None else orjson.loads(row[name]) for name in ("before", "after"))
    change = Change(row["tenant"], row["action"], row["object_type"], row["object_id"], *states)
    return Entry(row["id"], row["at"], who, change)
