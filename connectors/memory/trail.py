"""The audit log in this process: the twin of connectors/postgres/trail.py.

It cannot take back what a repository did before something failed: the rows of that are left out all the same.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import orjson
import uuid_utils

from domain.ports.trail import Pen
from domain.trail.model import SHORTEST_DAYS, Change, Entry, State, Wanted, acting
from domain.trail.safe import safe


class MemoryTrail:
    """Implements domain.ports.Trail. `now` is the clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._entries: list[Entry] = []

    @asynccontextmanager
    async def together(self, place: str) -> AsyncIterator[Pen]:  # noqa: ARG002 - nothing here is interrupted
        changes: list[Change] = []

        async def write(change: Change) -> None:
            changes.append(change)

        yield write
        self._entries += map(self._entry, changes)

    async def page(self, wanted: Wanted, limit: int, before: tuple[datetime, str] | None) -> list[Entry]:
        found = [one for one in self._entries if wanted.takes(one)]
        found.sort(key=lambda one: (one.at, one.id), reverse=True)
        return [one for one in found if before is None or (one.at, one.id) < before][:limit]

    async def forget(self, before: datetime) -> int:
        end = min(before, self._now() - timedelta(days=SHORTEST_DAYS))
        kept = [one for one in self._entries if one.at >= end]
        gone, self._entries = len(self._entries) - len(kept), kept
        return gone

    def _entry(self, change: Change) -> Entry:
        told = Change(
            change.tenant, change.action, change.type, change.id, _told(change.before), _told(change.after)
        )  # fmt: skip
        return Entry(f"aud_{uuid_utils.uuid7().hex}", self._now(), acting(), told)


def _told(state: State) -> State:
    """As it would be read again."""
    found: State = None if state is None else orjson.loads(orjson.dumps(safe(state)))
    return found
