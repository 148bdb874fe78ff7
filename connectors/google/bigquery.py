"""prompt.results, prompt.usage and prompt.events as rows of BigQuery, each record once."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import takewhile

from connectors.google.protobuf import Encoder
from connectors.google.streams import RowsRefused, Streams
from connectors.google.tables import Tables
from domain.errors import Unavailable
from domain.ports import Item, Refused, StreamBook
from domain.sinks.columns import TABLES, NoRow
from domain.sinks.model import Place, place_text
from domain.sinks.streams import Track, found

Row = tuple[int, bytes]
LONGEST = 9 * 1024 * 1024
"""Bytes of one row: a request takes 10 MB."""
AT_ONCE = 4 * 1024 * 1024
APPENDS = 8


class BigQuerySink:
    """Implements domain.ports.Sink.

    Each partition has a committed stream of its own, and the book says which, and how many of its rows belong to
    records below which offset. After anything that went wrong, and in every new process, the stream is closed, which
    ends what others may still send to it and tells how many rows it has; what it lacks goes into a new one
    (docs/decisions/0038). Records below the book's offset are in the table, and left out of a replay.
    """

    topics = tuple(TABLES)

    def __init__(self, target: str, tables: Tables, streams: Streams, book: StreamBook) -> None:
        self._target = target
        self._tables, self._streams, self._book = tables, streams, book
        self._encoders = {topic: Encoder(topic) for topic in TABLES}
        self._born: dict[str, str] = {}
        self._tracks: dict[Place, Track] = {}
        self._appends = asyncio.Semaphore(APPENDS)

    async def open(self) -> None:
        """Makes tables and columns that are missing. Raises Unavailable."""
        for topic in TABLES:
            await self._look(topic)

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        places: dict[Place, list[Item]] = defaultdict(list)
        for item in sorted(batch, key=lambda item: item.offset):
            places[item.topic, item.partition].append(item)
        try:
            return await self._write(places)
        except BaseException:
            # nothing is known of what was under way: the streams are closed and counted before they are trusted again
            for place in places:
                self._tracks.pop(place, None)
                self._born.pop(place[0], None)
            raise

    async def close(self) -> None:
        self._tracks.clear()
        self._born.clear()
        await self._streams.close()
        await self._tables.close()
        await self._book.close()

    async def _write(self, places: dict[Place, list[Item]]) -> list[Refused]:
        for topic in {topic for topic, _ in places} - set(self._born):
            await self._look(topic)
        rows, refused = await asyncio.to_thread(self._encode, places)
        await self._take(place for place in places if place not in self._tracks)
        wanted: dict[Place, Sequence[Row]] = {}
        for place, items in places.items():
            track = self._tracks[place]
            refused += _refused(items, track.forget_refused(items[0].offset))
            wanted[place] = track.rest(rows[place])
        await self._begin({place: rest for place, rest in wanted.items() if rest})
        appends = [self._append(place, rest) for place, rest in wanted.items() if rest]
        for answer in await asyncio.gather(*appends, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            place, reasons = answer
            refused += _refused(places[place], reasons)
        for place, items in places.items():
            self._tracks[place].move(items[-1].offset + 1)
        await self._keep(places)
        return refused

    async def _look(self, topic: str) -> None:
        self._born[topic] = await self._tables.ensure(topic)

    def _encode(self, places: dict[Place, list[Item]]) -> tuple[dict[Place, list[Row]], list[Refused]]:
        rows: dict[Place, list[Row]] = {place: [] for place in places}
        refused = []
        for place, items in places.items():
            encode, kept = self._encoders[place[0]].encode, rows[place]
            for item in items:
                try:
                    encoded = encode(item.value)
                except NoRow as error:
                    refused.append(Refused(item, str(error)))
                    continue
                if len(encoded) > LONGEST:
                    refused.append(Refused(item, f"{len(encoded)} bytes: BigQuery takes rows of up to 9 MiB"))
                else:
                    kept.append((item.offset, encoded))
        return rows, refused

    async def _take(self, places: Iterable[Place]) -> None:
        """What is known of these partitions, with their streams closed."""
        asked = list(places)
        marks = await self._book.read(self._target, asked) if asked else {}

        async def take(place: Place) -> Track:
            mark, born = marks.get(place), self._born[place[0]]
            known = mark is not None and mark.stream and mark.born == born
            return found(mark, born, await self._streams.finalize(mark.stream) if mark and known else None)

        for place, track in zip(asked, await asyncio.gather(*map(take, asked)), strict=True):
            self._tracks[place] = track

    async def _begin(self, wanted: dict[Place, Sequence[Row]]) -> None:
        """The book says where the first of these rows goes, before it does."""
        changed = []
        for place, rows in wanted.items():
            track, first = self._tracks[place], rows[0][0]
            if not track.is_open:
                track.begin(await self._streams.create(self._tables.place(place[0])), first)
            elif track.mark.offset != first:
                track.move(first)
            else:
                continue
            changed.append(place)
        await self._keep(changed)

    async def _append(self, place: Place, rows: Sequence[Row]) -> tuple[Place, dict[int, str]]:
        track, descriptor = self._tracks[place], self._encoders[place[0]].descriptor
        refused: dict[int, str] = {}
        bad: dict[int, str] = {}
        while rows:
            wrong = list(takewhile(lambda row, bad=bad: row[0] in bad, rows))  # type: ignore[misc]
            if wrong:
                refused |= {offset: bad[offset] for offset, _ in wrong}
                rows = rows[len(wrong) :]
                track.move(rows[0][0] if rows else wrong[-1][0] + 1, 0, {**track.mark.refused, **refused})
                await self._keep([place])
                continue
            part = _first(rows, bad)
            try:
                async with self._appends:
                    texts = [row for _, row in part]
                    await self._streams.append(track.mark.stream, track.mark.rows, descriptor, texts)
            except RowsRefused as error:
                await self._look(place[0])  # a table that has drifted refuses everything, and that is no row's fault
                bad |= {part[index][0]: reason for index, reason in error.reasons.items()}
                continue
            rows = rows[len(part) :]
            track.move(rows[0][0] if rows else part[-1][0] + 1, len(part))
        return place, refused

    async def _keep(self, places: Iterable[Place]) -> None:
        entries = {place: self._tracks[place].entry for place in places}
        if not entries:
            return
        lost = entries.keys() - await self._book.keep(self._target, entries)
        if lost:
            raise Unavailable(f"another process carries {', '.join(sorted(map(place_text, lost)))} to BigQuery now")
        for place, entry in entries.items():
            self._tracks[place].before = entry.mark.stream


def _first(rows: Sequence[Row], bad: dict[int, str]) -> list[Row]:
    """As many as go into one request, up to the next that is bad."""
    part: list[Row] = []
    size = 0
    for row in rows:
        size += len(row[1])
        if part and (row[0] in bad or size > AT_ONCE):
            break
        part.append(row)
    return part


def _refused(items: Sequence[Item], reasons: dict[int, str]) -> list[Refused]:
    return [Refused(item, reasons[item.offset]) for item in items if item.offset in reasons] if reasons else []
