"""Documents in a dictionary."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from domain.errors import Permanent
from domain.ports import Opened


class MemoryDocuments:
    """Implements Documents. `held`: by address the content type and the bytes, or what opening it raises.

    opened: the addresses in the order they were opened. sized: whether the size is told before it is read.
    """

    def __init__(self, held: Mapping[str, tuple[str, bytes] | Exception] | None = None) -> None:
        self.held = dict(held or {})
        self.opened: list[str] = []
        self.sized = True

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[Opened]:
        self.opened.append(url)
        found = self.held.get(url, Permanent("there is no such document"))
        if isinstance(found, Exception):
            raise found
        content_type, data = found

        async def read(most: int) -> tuple[bytes, bool]:
            return data[:most], len(data) <= most

        yield Opened(content_type, len(data) if self.sized else None, read)
