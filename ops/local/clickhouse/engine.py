"""Statements on chDB: a few connections, each used by one thread at a time."""

import asyncio
import contextlib
import os
import re
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, TypeVarTuple

import chdb

from .statement import Statement

Arguments = TypeVarTuple("Arguments")
Result = TypeVar("Result")
CONNECTIONS = 6
Piece = tuple[bytes, int]  # a part of a result, and its rows
MEMORY = "/dev/shm"  # nosec B108 # noqa: S108 - where it exists, data on its way into the engine needs no disk
SETTINGS_CLAUSE = re.compile(r"\bSETTINGS\s+\w+\s*=", re.I)
SESSION_STATEMENT = re.compile(r"\s*(?:USE|SET)\b", re.I)


class Rest:
    """The rest of a long result, which keeps its connection until `close`; whoever got it has to close it."""

    def __init__(
        self, second: bytes, following: Callable[[], Awaitable[Piece | None]], end: Callable[[], Awaitable[None]]
    ) -> None:
        self._second = second
        self._following = following
        self._end = end

    async def pieces(self) -> AsyncIterator[bytes]:
        yield self._second
        while (piece := await self._following()) is not None:
            yield piece[0]

    async def close(self) -> None:
        await self._end()


@dataclass(frozen=True, slots=True)
class Answer:
    """The body, with what goes into X-ClickHouse-Summary; `more` holds the rest of a long result."""

    body: bytes
    read_rows: int = 0
    written_rows: int = 0
    more: Rest | None = None


class Session:
    """One chDB connection with the database and settings of the request that uses it."""

    def __init__(self, path: str) -> None:
        connect: Any = chdb.connect  # its types are incomplete, and differ between its two distributions
        self._connection: Any = connect(path)
        self._database: str | None = None
        self.settings: Mapping[str, str] = {}

    def enter(self, database: str, settings: Mapping[str, str]) -> None:
        if database != self._database:
            self._connection.query(f"USE {quoted_name(database)}")
            self._database = database
        if settings != self.settings:
            self._set(settings)

    def _set(self, settings: Mapping[str, str]) -> None:
        """These and no others; none after a failure."""
        stale = [f"{_word(name)} = DEFAULT" for name in self.settings.keys() - settings.keys()]
        wanted = [f"{_word(name)} = {quoted(value)}" for name, value in settings.items()]
        try:
            self._connection.query("SET " + ", ".join(stale + wanted))
        except Exception:
            for name in {**self.settings, **settings}:
                with contextlib.suppress(Exception):
                    self._connection.query(f"SET {_word(name)} = DEFAULT")
            self.settings = {}
            raise
        self.settings = settings

    def run(self, statement: Statement) -> Answer:
        if statement.data is not None:
            return self._insert(statement.sql, statement.format, statement.data)
        if SESSION_STATEMENT.match(statement.sql):
            return Answer(b"")  # there are no sessions: it would leak into somebody else's request
        result = self._connection.query(statement.sql, statement.format, params=dict(statement.params) or None)
        return Answer(result.bytes(), read_rows=result.rows_read())

    def stream(self, statement: Statement) -> Iterator[Piece]:
        """The pieces of a result, with the rows of each."""
        stream = self._connection.send_query(statement.sql, statement.format, params=dict(statement.params) or None)
        try:
            for piece in stream:
                yield piece.bytes(), piece.rows_read()
        finally:
            stream.cancel()

    def close(self) -> None:
        self._connection.close()

    def _insert(self, sql: str, input_format: str, data: bytes) -> Answer:
        if not data:
            return Answer(b"")
        # Not send_insert: chDB 4.4 reports success there when a materialised view or a constraint refuses the rows.
        with tempfile.NamedTemporaryFile(prefix="insert-", dir=MEMORY if os.path.isdir(MEMORY) else None) as file:
            file.write(data)
            file.flush()
            result = self._connection.query(_from_file(sql, file.name, input_format))
            return Answer(b"", read_rows=result.rows_read(), written_rows=result.rows_read())


class Engine:
    """chDB on the files in `path`."""

    def __init__(self, path: str, connections: int = CONNECTIONS) -> None:
        self._all = [Session(path) for _ in range(connections)]
        self._free = list(self._all)
        self._places = asyncio.Semaphore(connections)
        self._threads = ThreadPoolExecutor(connections, thread_name_prefix="chdb")

    async def run(self, statement: Statement, database: str) -> Answer:
        """Run one statement. Raises what chDB raises: its text begins with `Code: N.`."""
        await self._places.acquire()
        session, kept = self._fitting(statement), False
        try:
            await self._call(session.enter, database, statement.settings)
            if not statement.streams:
                return await self._call(session.run, statement)
            pieces = session.stream(statement)
            first, second = await self._call(_next, pieces), await self._call(_next, pieces)
            if second is None:
                return Answer(first[0], read_rows=first[1]) if first else Answer(b"")
            kept = True
            more = Rest(second[0], partial(self._call, _next, pieces), partial(self._end, session, pieces))
            return Answer(first[0] if first else b"", more=more)
        finally:
            if not kept:
                self._release(session)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        for session in self._all:
            session.close()

    async def _end(self, session: Session, pieces: Iterator[Piece]) -> None:
        try:
            await self._call(_close, pieces)
        finally:
            self._release(session)

    def _fitting(self, statement: Statement) -> Session:
        """One that has its settings, else the one that was not used for longest."""
        free = self._free
        at = next((number for number, one in enumerate(free) if one.settings == statement.settings), 0)
        return free.pop(at)

    def _release(self, session: Session) -> None:
        self._free.append(session)
        self._places.release()

    async def _call(self, function: Callable[[*Arguments], Result], *arguments: *Arguments) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _from_file(insert: str, path: str, input_format: str) -> str:
    """The INSERT with its data in a file, which is named before its SETTINGS."""
    found = SETTINGS_CLAUSE.search(insert)
    head, settings = (insert[: found.start()], insert[found.start() :]) if found else (insert, "")
    return f"{head} FROM INFILE {quoted(path)} {settings} FORMAT {_word(input_format)}"


def _next(pieces: Iterator[Piece]) -> Piece | None:
    return next(pieces, None)


def _close(pieces: Any) -> None:
    pieces.close()


def _word(name: str) -> str:
    return re.sub(r"\W", "", name)


def quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted_name(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
