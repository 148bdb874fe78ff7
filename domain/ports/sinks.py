"""Destinations of results, and what feeds them."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol


class Item(NamedTuple):
    """A record as a sink gets it. `timestamp` is the record's log time. A tuple: sinks make 80,000 of them a second."""

    topic: str
    partition: int
    offset: int
    timestamp: datetime
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """An item the destination will never take, with its reason."""

    item: Item
    reason: str


class Sink(Protocol):
    """A destination of results.

    write returns only when the accepted items are durable, names the refused ones, raises Transient when nothing
    may be assumed; writing a batch twice is harmless. It never retries, batches, logs payloads or reads settings.
    """

    topics: tuple[str, ...]

    async def open(self) -> None: ...

    async def write(self, batch: Sequence[Item]) -> list[Refused]: ...

    async def close(self) -> None: ...


class BatchSource(Protocol):
    """Topics read in batches. What was yielded comes again, here or to another member, until it was committed.

    Values are whole records of committed transactions; tombstones never appear. Topic names come without the prefix.
    """

    def batches(self) -> AsyncIterator[Sequence[Item]]:
        """Batches bounded in rows, bytes and time, until `stop`; none is empty. Stays in its group between two."""
        ...

    async def commit(self, batch: Sequence[Item]) -> None:
        """Everything up to this batch is done. A partition that was taken away meanwhile is left to its new owner."""
        ...

    def stop(self) -> None:
        """Makes `batches` end; what was yielded may still be committed."""
        ...

    async def lag(self) -> dict[tuple[str, int], int]:
        """Records not read yet, by (topic, partition) that this member reads."""
        ...

    async def close(self) -> None: ...
