"""A broker in memory: the twin of KafkaProducer and BatchConsumer, and a log that tests can read."""

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from domain.errors import StructuredPromptError
from domain.ledger.model import Source
from domain.ports import Item, Record


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class MemoryBroker:
    """Topics with a few partitions each, and the committed offsets of every consumer group.

    `now` stamps records. Tombstones are kept in `log` and never reach a consumer.
    """

    partitions: int = 4
    now: Callable[[], datetime] = _utc_now
    log: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))
    _items: dict[tuple[str, int], list[Item | None]] = field(default_factory=lambda: defaultdict(list))
    _committed: dict[tuple[str, str, int], int] = field(default_factory=dict)
    _grown: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, record: Record) -> tuple[int, int]:
        """(partition, offset) of the record; equal keys share a partition, no key goes round robin."""
        number = len(self.log[record.topic]) if record.key is None else zlib.crc32(record.key)
        place = record.topic, number % self.partitions
        line = self._items[place]
        offset = len(line)
        if record.value is None:
            line.append(None)
        else:
            line.append(Item(*place, offset, self.now(), record.key, record.value, tuple(record.headers)))
        self.log[record.topic].append(record)
        self.wake()
        return place[1], offset

    def values(self, topic: str) -> list[bytes]:
        """Every value on a topic, in the order of arrival, without tombstones."""
        return [record.value for record in self.log[topic] if record.value is not None]

    def read(self, topic: str, partition: int, start: int) -> list[Item]:
        """What a consumer sees from `start` on."""
        return [item for item in self._items[topic, partition][start:] if item is not None]

    def committed(self, group: str, topic: str, partition: int) -> int:
        """The offset a new member of `group` starts at."""
        return self._committed.get((group, topic, partition), 0)

    def commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        self._committed[group, topic, partition] = offset

    def end(self, topic: str, partition: int) -> int:
        """The offset the next record gets."""
        return len(self._items[topic, partition])

    async def grown(self) -> None:
        """Returns at the next append or `wake`."""
        await self._grown.wait()

    def wake(self) -> None:
        """Let every waiting consumer look again."""
        grown, self._grown = self._grown, asyncio.Event()
        grown.set()


class MemoryProducer:
    """Twin of KafkaProducer. `failures` are raised by the next sends, one each, before anything is appended."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.broker = broker
        self.failures: list[StructuredPromptError] = []

    async def open(self) -> None:
        return

    async def send(self, records: Sequence[Record]) -> None:
        if self.failures:
            raise self.failures.pop(0)
        for record in records:
            self.broker.append(record)

    async def close(self) -> None:
        return


class MemoryOriginals:
    """Twin of KafkaOriginals; keeps everything."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def read(self, sources: Sequence[Source]) -> list[bytes | None]:
        found = [self._broker.read(source.topic, source.partition, source.offset)[:1] for source in sources]
        return [items[0].value if items else None for items in found]


class MemorySource:
    """Twin of BatchConsumer, the only member of its group; reads from the committed offsets."""

    def __init__(self, broker: MemoryBroker, topics: Sequence[str], group: str, rows: int = 10_000) -> None:
        self._broker = broker
        self._topics = tuple(topics)
        self._group = group
        self._rows = rows
        self._stopping = False
        self._handed: dict[int, tuple[Sequence[Item], set[tuple[str, int]]]] = {}
        self._joined = False
        self.missing: str | None = None
        self._next = {
            (topic, partition): broker.committed(group, topic, partition)
            for topic in self._topics
            for partition in range(broker.partitions)
        }

    async def batches(self) -> AsyncIterator[Sequence[Item]]:
        self._joined = True
        while not self._stopping:
            batch = self._take()
            if batch:
                yield batch
            else:
                await self._broker.grown()

    async def commit(self, batch: Sequence[Item]) -> None:
        _, lost = self._handed.pop(id(batch), (batch, set()))
        for item in batch:
            if (item.topic, item.partition) in lost:
                continue
            done = self._broker.committed(self._group, item.topic, item.partition)
            self._broker.commit(self._group, item.topic, item.partition, max(done, item.offset + 1))

    def stop(self) -> None:
        self._stopping = True
        self._broker.wake()

    async def close(self) -> None:
        self.stop()

    async def lag(self) -> dict[tuple[str, int], int]:
        return await self.unread() if self._joined else {}

    async def unread(self) -> dict[tuple[str, int], int]:
        done = {place: self._broker.committed(self._group, *place) for place in self._next}
        return {place: self._broker.end(*place) - offset for place, offset in done.items()}

    async def trouble(self) -> str | None:
        return self.missing

    async def rewind(self, starts: Mapping[tuple[str, int], datetime | int]) -> frozenset[tuple[str, int]]:
        here = {place: start for place, start in starts.items() if place in self._next}
        for place, start in here.items():
            offset = start if isinstance(start, int) else self._first_since(place, start)
            self._next[place] = min(max(0, offset), self._broker.end(*place))
            self._broker.commit(self._group, *place, self._next[place])
        for _, lost in self._handed.values():
            lost.update(here)
        self._broker.wake()
        return frozenset(here)

    def _first_since(self, place: tuple[str, int], since: datetime) -> int:
        offsets = (item.offset for item in self._broker.read(*place, 0) if item.timestamp >= since)
        return next(offsets, self._broker.end(*place))

    def _take(self) -> list[Item]:
        batch: list[Item] = []
        for place, start in self._next.items():
            items = self._broker.read(*place, start)[: self._rows - len(batch)]
            if items:
                self._next[place] = items[-1].offset + 1
                batch += items
        if batch:
            self._handed[id(batch)] = batch, set()
        return batch
