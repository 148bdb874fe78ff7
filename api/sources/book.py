"""Which sources there are: those of the file, and those that operators made over HTTP."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import structlog

from api.within import LEDGER, PATIENCE_S, within
from domain.errors import Permanent
from domain.ports import SourceFile, SourceStore
from domain.redriving.remapping import finder
from domain.sources.model import Source, Wrong
from domain.sources.stored import Stored, opened

LOOK_S = 2.0
"""Seconds for which what was stored is taken to be the same: whoever pushes names that do not exist asks no more."""
log = structlog.get_logger("sources")


class SourceBook:
    """The names of the file win. Raises Problem (unavailable) when PostgreSQL is away."""

    def __init__(self, file: SourceFile, store: SourceStore, pepper: bytes) -> None:
        self._followed = file
        self._follow_at = float("-inf")
        self.store = store
        self._pepper = pepper
        self._finder = finder(lambda: self.file, store, lambda: pepper)
        self._opened: dict[str, tuple[Stored, Source | None]] = {}
        self._until = float("-inf")
        self._lock = asyncio.Lock()

    @property
    def file(self) -> Mapping[str, Source]:
        """Those of the file."""
        return self._followed.sources

    @property
    def file_error(self) -> str | None:
        """What is wrong with the file as it stands now."""
        return self._followed.wrong

    async def follow(self) -> None:
        """See whether the file was changed; not more often than it matters."""
        now = time.monotonic()
        if now >= self._follow_at:
            self._follow_at = now + LOOK_S
            await asyncio.to_thread(self._followed.look)

    async def find(self, name: str) -> Source | None:
        """One that takes webhooks, or any of the file."""
        await self.follow()
        if name in self.file:
            return self.file[name]
        async with self._lock:
            if time.monotonic() >= self._until:
                self._keep(await self.stored())
                self._until = time.monotonic() + LOOK_S
        return self._opened[name][1] if name in self._opened else None

    async def open(self, name: str) -> Source | None:
        """Any, as it is now. Raises Wrong and Permanent where it cannot be opened, Unavailable."""
        await self.follow()
        return await self._finder(name)

    async def stored(self) -> Sequence[Stored]:
        return await within(self.store.all(), PATIENCE_S, LEDGER)

    def changed(self) -> None:
        """What was stored is read anew when it is next asked for."""
        self._until = float("-inf")

    def _keep(self, stored: Sequence[Stored]) -> None:
        before = self._opened
        self._opened = {}
        for one in stored:
            if one.fields.get("webhook"):
                known = before.get(one.name)
                self._opened[one.name] = known if known and known[0] == one else (one, self._open(one))

    def _open(self, one: Stored) -> Source | None:
        try:
            return opened(one, self._pepper)
        except (Permanent, Wrong) as error:
            log.warning("source_cannot_be_opened", source=one.name, reason=str(error))
            return None
