"""A bucket's prefix, read as a topic is: objects in the order of their keys, each version of each once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from connectors.s3.client import PAGE, S3
from domain.errors import Unavailable
from domain.ports import Item, ObjectBook
from domain.sinks.model import Place
from domain.sources.objects import LARGEST, LOOK_BACK, TOO_LARGE, Found, Prefix, place, rows

log = structlog.get_logger("sources")
ROWS, BYTES = 500, 4 * 1024 * 1024
LEASE = timedelta(seconds=60)
OBJECT, VERSION = "s3-object", "s3-version"
"""Headers of a row: which object it is of. They go to the request, and to its result."""


@dataclass(slots=True)
class _Reading:
    """An object in hand: `rows` of it were handed out; `done` where those are all."""

    found: Found
    rows: int
    done: bool = False


class ObjectSource:
    """Implements domain.ports.BatchSource. What was handed out is noted in the book by `commit`: after a crash the rows
    that were not come again, as the same records. One member reads at a time; the others look whether it still does.
    """

    def __init__(
        self, name: str, prefix: Prefix, store: S3, book: ObjectBook, member: str, now: Callable[[], datetime]
    ) -> None:
        self._name = name
        self._prefix = prefix
        self._store = store
        self._book = book
        self._member = member
        self._now = now
        self._reading: _Reading | None = None
        self._unread = 0
        self._stopped = asyncio.Event()
        self._away: str | None = None

    async def batches(self) -> AsyncIterator[Sequence[Item]]:
        while not self._stopped.is_set():
            try:
                await self._store.open()
                self._away = None
                async for batch in self._look():
                    yield batch
            except Unavailable as error:
                self._away = str(error)
                log.warning("source_waits", source=self._name, reason=str(error))
            await self._wait(self._prefix.every_s)

    async def commit(self, batch: Sequence[Item]) -> None:  # noqa: ARG002 - it is the one that was handed out last
        reading = self._reading
        if reading is not None:
            await self._book.note(self._name, reading.found, reading.rows, reading.done)

    def stop(self) -> None:
        self._stopped.set()

    async def close(self) -> None:
        self.stop()
        await self._store.close()
        await self._book.close()

    async def lag(self) -> dict[Place, int]:
        """Objects that the last look found unread, not rows: how many those are is known when they are read."""
        return {(self._prefix.topic, 0): self._unread}

    async def unread(self) -> dict[Place, int]:
        return await self.lag()

    async def trouble(self) -> str | None:
        return self._away

    async def rewind(self, starts: Mapping[Place, datetime | int]) -> frozenset[Place]:
        """From a time on: of the objects. Offsets of rows mean nothing here, and move nothing."""
        here = (self._prefix.topic, 0)
        since = starts.get(here)
        if isinstance(since, datetime):
            self._reading = None
            await self._book.forget(self._name, since)
        return frozenset({here} & starts.keys())

    async def _look(self) -> AsyncIterator[Sequence[Item]]:
        """Once over the prefix, or what may be new of it; ends early where somebody else reads it."""
        after = await self._book.before_last(self._name, LOOK_BACK) if self._prefix.in_order else ""
        while not self._stopped.is_set() and await self._holds():
            page = await self._store.listed(self._prefix.prefix, after)
            known = await self._book.known(self._name, [one.key for one in page])
            fresh = [one for one in page if not (one.key in known and known[one.key].version == one.version
                                                 and known[one.key].done)]  # fmt: skip
            self._unread = len(fresh)
            for found in fresh:
                progress = known.get(found.key)
                same = progress is not None and progress.version == found.version
                async for batch in self._read(found, progress.rows if same and progress else 0):
                    yield batch
                self._unread -= 1
            if len(page) < PAGE:
                return
            after = page[-1].key

    async def _read(self, found: Found, start: int) -> AsyncIterator[Sequence[Item]]:
        body = TOO_LARGE if found.size > LARGEST else await self._store.get(found.key)
        name = found.key if found.size <= LARGEST else ""
        every = await asyncio.to_thread(rows, name, body, start)
        self._reading = reading = _Reading(found, start)
        while not reading.done and self._reading is reading and await self._holds():
            batch = await asyncio.to_thread(self._batch, every, reading)
            if not batch:
                await self._book.note(self._name, found, reading.rows, True)
                return
            yield batch
            if self._stopped.is_set():
                return

    def _batch(self, every: Iterator[bytes], reading: _Reading) -> list[Item]:
        found, size = reading.found, 0
        batch: list[Item] = []
        headers = [(OBJECT, found.key.encode()), (VERSION, found.version.encode())]
        while len(batch) < ROWS and size < BYTES:
            value = next(every, None)
            if value is None:
                reading.done = True
                break
            partition, offset = place(found.key, found.version, reading.rows)
            batch.append(Item(self._prefix.topic, partition, offset, found.modified_at, None, value, headers))
            reading.rows += 1
            size += len(value)
        return batch

    async def _holds(self) -> bool:
        return await self._book.hold(self._name, self._member, self._now(), LEASE)

    async def _wait(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()
