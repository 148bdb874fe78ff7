"""Sources as sinks: what somebody's topic holds becomes requests, and their results go to somebody's topic.

Both are carried by the sink runner: offsets are committed when everything was acknowledged, what cannot be mapped is a
dead letter, and a batch that comes again makes the same records, which intake and their readers recognise by their id.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from domain.errors import BatchRefused, Permanent, Transient, Unavailable
from domain.feeding.requests import fields_of, request_record
from domain.ports import Decoder, Item, Producer, Record, Refused
from domain.sources.mapping import Unmappable
from domain.sources.model import HEADER, Source
from topics.table import RESULTS


class RequestSink:
    """Implements domain.ports.Sink for one source: its records, read by `decoder`, become requests."""

    def __init__(self, source: Source, producer: Producer, decoder: Decoder) -> None:
        self._source = source
        self._producer = producer
        self._decoder = decoder
        named = source.topic or (source.bucket.topic if source.bucket else None)
        self.topics: tuple[str, ...] = (named,) if named else ()

    async def open(self) -> None:
        return

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        """Raises Transient, and BatchRefused where the broker refuses one of the records."""
        records, refused = [], []
        await self._decoder.load([item.value for item in batch])
        since = self._source.since
        for item in batch:
            if since is not None and item.timestamp < since:
                continue
            try:
                records.append(self._record(item))
            except Unmappable as error:
                refused.append(Refused(item, f"source {self._source.name}: {error}"))
        await _send(self._producer, records)
        return refused

    async def close(self) -> None:
        await self._decoder.close()

    def _record(self, item: Item) -> Record:
        event = self._decoder.decode(item.value)
        return request_record(self._source.name, item, fields_of(self._source, event, item))


class OutputSink:
    """Implements domain.ports.Sink: results of sources that have an output are copied there, byte for byte."""

    topics: tuple[str, ...] = (RESULTS,)

    def __init__(
        self,
        outputs: Mapping[str, str | None],
        producer: Producer,
        look: Callable[[], Awaitable[None]] | None = None,
        objection: Callable[[str], Awaitable[str | None]] | None = None,
    ) -> None:
        """`outputs`: the topic of each source, None where it has none; may change. `look` brings it up to date, where
        a result is of a source that it lacks: another process may have heard of it first. `producer` takes names of
        topics as they are. `objection`: why nothing can be written to a topic, with the remedy. Raises Transient.
        """
        self._outputs = outputs
        self._look = look
        self._producer = producer
        self._objection = objection
        self._in_doubt = False

    async def open(self) -> None:
        return

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        """Raises Transient, and BatchRefused where the broker refuses one of the records."""
        named = [(item, source) for item in batch if (source := _source_of(item)) is not None]
        if self._look is not None and any(source not in self._outputs for _, source in named):
            await self._look()
        found = [(item, self._outputs.get(source)) for item, source in named]
        records = [Record(topic, item.value, item.key, list(item.headers)) for item, topic in found if topic]
        if self._in_doubt:
            await self._ask(sorted({record.topic for record in records}))
        try:
            await _send(self._producer, records)
        except Transient:
            self._in_doubt = True
            raise
        self._in_doubt = False
        return []

    async def _ask(self, topics: Sequence[str]) -> None:
        """Before a batch that failed is sent again: what goes to the other topics would be there once more each time.

        Raises Transient.
        """
        for topic in topics:
            if self._objection is not None and (reason := await self._objection(topic)) is not None:
                raise Unavailable(f"results wait for the output of a source: {reason}, or give the source another")

    async def close(self) -> None:
        return


def _source_of(item: Item) -> str | None:
    for name, value in item.headers:
        if name == HEADER:
            return (value or b"").decode(errors="replace")
    return None


async def _send(producer: Producer, records: Sequence[Record]) -> None:
    try:
        await producer.send(records)
    except Permanent as error:
        raise BatchRefused(str(error)) from error
