"""prompt.results, prompt.usage and prompt.events as rows of Snowflake: one a request, attempt and event."""

import asyncio
import gzip
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import orjson

from connectors.snowflake import statements as say
from connectors.snowflake.client import Snowflake
from domain.errors import Unavailable
from domain.ports import Item, Refused
from domain.sinks.columns import COLUMNS, TABLES, NoRow, row
from topics.packed import packed

PIECE = 64 * 1024


class SnowflakeSink:
    """Implements domain.ports.Sink.

    The rows of a batch go as a file into a stage, from there into a table of the session, and are merged by their keys:
    a batch written twice, or an older run after a newer one, changes nothing.
    """

    topics = tuple(TABLES)

    def __init__(self, snowflake: Snowflake) -> None:
        self._snowflake = snowflake
        self._ready = False

    async def open(self) -> None:
        """Makes stage, tables and columns that are missing. Raises Unavailable."""
        self._ready = False
        await self._snowflake.open()
        await self._snowflake.run(say.STAGE_MADE)
        for topic in TABLES:
            await self._prepare(topic)
        self._ready = True

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        """Raises Unavailable."""
        if not self._ready:
            await self.open()
        with tempfile.TemporaryDirectory(prefix="structured-prompt-") as directory:
            files, refused = await asyncio.to_thread(_files, batch, Path(directory))
            try:
                for topic, path in files.items():
                    await self._store(topic, path)
            except BaseException:
                self._ready = False  # the session may be gone, or a table not what it was
                raise
        return refused

    async def close(self) -> None:
        self._ready = False
        await self._snowflake.close()

    async def _prepare(self, topic: str) -> None:
        run, name = self._snowflake.run, TABLES[topic].upper()
        have = await run(say.COLUMNS_OF, [name])
        if not have:
            await run(say.create(topic))
            have = await run(say.COLUMNS_OF, [name])
        wrong = say.drifted(topic, [(name, kind, nullable != "NO") for name, kind, nullable, *_ in have])
        wrong += say.too_strict(topic, [(name, nullable != "NO") for name, _, nullable, *_ in have])
        wrong += say.narrower(topic, [(name, kind, *sizes) for name, kind, _, *sizes in have])
        if wrong:
            raise Unavailable(
                f"the schema of Snowflake table {TABLES[topic]} has drifted: {'; '.join(wrong)}; put it right or "
                "rename the table, a new one is made (docs/sinks.md)"
            )
        for statement in say.lacking(topic, [str(name) for name, *_ in have]):
            await run(statement)
        await run(say.create_landing(topic))

    async def _store(self, topic: str, path: Path) -> None:
        # a name of its own: Snowflake loads no file twice that has the same one
        run, name = self._snowflake.run, uuid4().hex
        await run(say.put(str(path), name))
        await run(say.empty(topic))
        await run(say.copy(topic, name))
        await run(say.merge(topic))


def _files(batch: Sequence[Item], directory: Path) -> tuple[dict[str, Path], list[Refused]]:
    """A file a topic, of a line a row; few lines are in memory. An id_conflict is no request of its own."""
    files: dict[str, Path] = {}
    refused = []
    with ExitStack() as stack:
        written: dict[str, _Lines] = {}
        for item in batch:
            try:
                found = row(item.topic, item.value)
            except NoRow as error:
                refused.append(Refused(item, str(error)))
                continue
            if found.get("error_code") == "id_conflict":
                continue
            if item.topic not in written:
                files[item.topic] = directory / f"{TABLES[item.topic]}.json.gz"
                written[item.topic] = stack.enter_context(_Lines(files[item.topic]))
            written[item.topic].add(_line(item.topic, found))
    return files, refused


class _Lines:
    """A file under gzip, which is given pieces: each write costs more than a line."""

    def __init__(self, path: Path) -> None:
        self._file = gzip.GzipFile(path, "wb", compresslevel=1)
        self._waiting = bytearray()

    def add(self, line: bytes) -> None:
        self._waiting += line + b"\n"
        if len(self._waiting) >= PIECE:
            self._write()

    def _write(self) -> None:
        self._file.write(self._waiting)
        self._waiting.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._write()
        self._file.close()


def _line(topic: str, found: dict[str, Any]) -> bytes:
    fields: dict[str, Any] = {}
    for column in COLUMNS[topic]:
        value = found[column.name]
        if value is None:
            continue
        if column.kind == "json":
            value = orjson.Fragment(value)
        elif column.kind == "tags":
            value = dict(value)
        elif column.kind == "money":
            value = f"{value:f}"
        elif column.kind == "time":
            value = _time(value)
        fields[column.name] = value
    return packed(fields)


def _time(at: datetime) -> str:
    """UTC, as a TIMESTAMP_NTZ is read."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
