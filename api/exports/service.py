"""Streams the results of one tenant, as they come out of the usage database."""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime

from api import problems
from api.export_schemas import ExportOrder
from api.usage.service import since_of
from api.within import within
from domain.exports.model import MEDIA_TYPES, Export, check_fields
from domain.ports import Exporter

AT_ONCE = 2
"""Exports of one process at the same time: each keeps a connection and a core of the usage database."""
FIRST_S = 30.0
BUSY_RETRY_S = 5.0


@dataclass(frozen=True, slots=True)
class File:
    """`pieces` has to be read to its end, or closed."""

    name: str
    media_type: str
    pieces: AsyncIterator[bytes]


class Exports:
    """`now` is the clock."""

    def __init__(self, exporter: Exporter, now: Callable[[], datetime]) -> None:
        self._exporter = exporter
        self._now = now
        self._running = 0

    async def file(self, tenant: str, order: ExportOrder) -> File:
        """Raises Problem (invalid_request, unavailable), InvalidRequest (an unknown field), Unavailable."""
        wanted = self._wanted(tenant, order)
        if self._running >= AT_ONCE:
            raise problems.unavailable("other exports are under way; try again in a moment", BUSY_RETRY_S)
        pieces = self._counted(self._exporter.file(wanted))
        # the first piece comes before the status: what fails until then has a status of its own
        first = await within(anext(pieces, b""), FIRST_S, "the usage database")
        name = f"results-{wanted.since:%Y%m%dT%H%M%SZ}-{wanted.until:%Y%m%dT%H%M%SZ}.{wanted.format}"
        return File(name, MEDIA_TYPES[wanted.format], _with(first, pieces))

    def _wanted(self, tenant: str, order: ExportOrder) -> Export:
        now = self._now()
        since = since_of(order.since, now, "/since")
        until = now if order.until is None else since_of(order.until, now, "/until")
        fields = check_fields(order.fields)
        return Export(tenant, order.format, fields, since, until, order.template, order.status, order.after or "")

    async def _counted(self, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self._running += 1
        try:
            async for piece in pieces:
                yield piece
        finally:
            self._running -= 1


async def _with(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    async with aclosing(pieces):  # type: ignore[type-var]  # an iterator here is a generator
        yield first
        async for piece in pieces:
            yield piece
