"""Destinations of results, and what feeds them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from domain.sinks.model import Orders, Place, Report, SinkView
from domain.sinks.streams import Entry, Mark


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
    may be assumed, BatchRefused when it cannot tell which one is refused; writing a batch twice is harmless. It never
    retries, batches, logs payloads or reads settings.
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

    async def lag(self) -> dict[Place, int]:
        """Records that are not finished: committed, or about to be; by (topic, partition) that this member reads."""
        ...

    async def unread(self) -> dict[Place, int]:
        """Records that nobody of its group has made durable, of every partition, for a member that reads nothing yet.

        Raises Unavailable.
        """
        ...

    async def trouble(self) -> str | None:
        """What keeps it from reading, with the remedy, in words for operators: a topic that does not exist, a bucket
        that is away. None where nothing is known to. It goes on by itself when that is mended.
        """
        ...

    async def rewind(self, starts: Mapping[Place, datetime | int]) -> frozenset[Place]:
        """Read these partitions again from an offset, or from the first record of a time, and commit that.

        A batch in hand commits nothing of them any more. Returns those that are done: a partition that this member does
        not read is left out. Raises Unavailable.
        """
        ...

    async def close(self) -> None: ...


class SinkBoard(Protocol):
    """Where operators and the processes of the operator's sinks meet."""

    async def tell(self, report: Report) -> Orders:
        """Keep the report of this process, and answer what its sink is to do. Raises Unavailable."""
        ...

    async def rewound(self, sink: str, number: int, places: Iterable[Place]) -> None:
        """These partitions have followed the rewind of that number; an older number is nothing."""
        ...

    async def pause(self, sink: str, paused: bool) -> bool:
        """False when no process of such a sink was ever heard of."""
        ...

    async def replay(self, sink: str, since: datetime | None, offsets: Mapping[Place, int]) -> int | None:
        """Ask it to carry again from a time, or from offsets: the number of the rewind; None as `pause`'s False."""
        ...

    async def look(self) -> list[SinkView]:
        """Every sink that was ever heard of, by name."""
        ...


class StreamBook(Protocol):
    """Which stream of a destination each partition goes to, and how far it is: `target` names the destination."""

    async def read(self, target: str, places: Iterable[Place]) -> dict[Place, Mark]:
        """Those that are known. Raises Unavailable."""
        ...

    async def keep(self, target: str, entries: Mapping[Place, Entry]) -> frozenset[Place]:
        """Keep the marks; returns the partitions whose stream was the one that was expected. Others stay as they are:
        another process has them now. Raises Unavailable.
        """
        ...

    async def close(self) -> None: ...
