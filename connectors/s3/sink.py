"""prompt.results, prompt.usage and prompt.events as objects in a bucket, under tenant, day and hour."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, TypeVar

import orjson

from connectors.s3.client import PAGE, S3
from connectors.s3.formats import Format, Rows
from domain.ports import Item, Refused
from domain.sinks import objects
from domain.sinks.columns import HAPPENED, TABLES, NoRow, row
from domain.sinks.model import Place
from domain.sinks.objects import Range

T = TypeVar("T")
Part = tuple[int, bytes]
"""Rows, and the object that they are."""
UPLOADS = 8
RANGES = 4
"""At the same time: each waits for its objects, then for its manifest."""


class S3Sink:
    """Implements domain.ports.Sink.

    The rows of a batch of one partition go into one object a tenant and hour, and a manifest of them is written last:
    it says that the range of offsets is whole. A range that is written again is the same objects with the same bytes.
    Offsets that a manifest of another range holds are there already, and left out (a replay fills what is missing). So
    that a range which was begun and has no manifest yet comes again as it was, the source must keep its promises:
    connectors/kafka/promised.py.
    """

    topics = tuple(TABLES)

    def __init__(self, store: S3, format: Format, prefix: str = "") -> None:
        self._store = store
        self._format = format
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._newest: dict[Place, int] = {}
        self._uploads = asyncio.Semaphore(UPLOADS)
        self._ranges = asyncio.Semaphore(RANGES)
        # one: several would take turns at the interpreter, and each keep what it once allocated
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="s3-sink")

    async def open(self) -> None:
        """Raises Unavailable."""
        self._newest.clear()
        await self._store.open()

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        """Raises Unavailable."""
        places: dict[Place, list[Item]] = defaultdict(list)
        for item in batch:
            places[item.topic, item.partition].append(item)
        refused: list[Refused] = []
        for place, items in places.items():
            refused += await self._write_partition(place, sorted(items, key=lambda item: item.offset))
        return refused

    async def close(self) -> None:
        await self._store.close()

    async def _write_partition(self, place: Place, items: Sequence[Item]) -> list[Refused]:
        whole = Range(items[0].offset, items[-1].offset)
        stored: list[Range] = []
        newest = self._newest.get(place) == whole.first
        if not newest:
            stored, newest = await self._stored(place, whole)
        refused: list[Refused] = []
        by_offset = {item.offset: item for item in items}
        for offsets in objects.missing(list(by_offset), [] if whole in stored else stored):
            async with self._ranges:
                refused += await self._write_range(place, [by_offset[offset] for offset in offsets])
        if newest:
            self._newest[place] = whole.last + 1
        return refused

    async def _stored(self, place: Place, whole: Range) -> tuple[list[Range], bool]:
        """The ranges with a manifest that reach into this one, and whether there is none behind it.

        They do not overlap one another, so the order of their last offsets is that of their first.
        """
        prefix, after = objects.manifests_of(self._prefix, place), objects.before(self._prefix, place, whole.first)
        found: list[Range] = []
        while True:
            keys = await self._store.keys(prefix, after)
            listed = objects.spans(keys)
            found += [span for span in listed if span.first <= whole.last]
            if any(span.last > whole.last for span in listed[-1:]):
                return found, False
            if len(keys) < PAGE:
                return found, True
            after = keys[-1]

    async def _write_range(self, place: Place, items: Sequence[Item]) -> list[Refused]:
        span = Range(items[0].offset, items[-1].offset)
        parts, refused = await self._off_the_loop(self._parts, place, span, items)
        uploads = (self._upload(key, count, body) for key, (count, body) in parts.items())
        written = await asyncio.gather(*uploads, return_exceptions=True)
        for answer in written:
            if isinstance(answer, BaseException):
                raise answer
        manifest = {
            "topic": place[0],
            "partition": place[1],
            "first_offset": span.first,
            "last_offset": span.last,
            "rows": sum(count for count, _ in parts.values()),
            "refused": len(refused),
            "objects": written,
        }
        await self._store.put(objects.manifest_key(self._prefix, place, span), orjson.dumps(manifest))
        return refused

    async def _upload(self, key: str, rows: int, body: bytes) -> dict[str, Any]:
        async with self._uploads:
            await self._store.put(key, body)
        return {"key": key, "rows": rows, "bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}

    async def _off_the_loop(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _parts(self, place: Place, span: Range, items: Sequence[Item]) -> tuple[dict[str, Part], list[Refused]]:
        """The objects of a range by their keys, and the items that are in none."""
        refused = []
        groups: dict[tuple[str, datetime], Rows] = {}
        for item in items:
            try:
                found = row(place[0], item.value)
            except NoRow as error:
                refused.append(Refused(item, str(error)))
                continue
            hour = found[HAPPENED[place[0]]].replace(minute=0, second=0, microsecond=0)
            group = found["tenant"], hour
            if group not in groups:
                groups[group] = self._format.begin(place[0])
            groups[group].add(item, found)
        ending = self._format.ending
        keys = {group: f"{objects.object_key(self._prefix, place, span, *group)}.{ending}" for group in groups}
        # rows as Python has them take ten times the room
        return {keys[group]: (rows.count, rows.finish()) for group, rows in groups.items()}, refused
