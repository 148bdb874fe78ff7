"""Connections to PostgreSQL, and the one place where its errors become ours.

data that PostgreSQL refuses (class 22, 23, 54)   BadData, a Permanent: the same row fails again
anything else                                     Unavailable: nothing may be assumed, the caller repeats
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any, Protocol
from urllib.parse import urlsplit

import asyncpg

from domain.errors import Permanent, Unavailable

CONNECT_TIMEOUT = 2.0
OURS = "DATABASE_URL"

# Every hot statement joins a handful of given keys with large tables. These switches leave the planner only the
# plan that is right at every size, a nested loop over the primary key, also when it plans once on an empty table.
PLANNER = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_material": "off",
    "enable_bitmapscan": "off",
    "jit": "off",
}

_BAD_DATA = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)
# RuntimeError is uvloop's word for a connection that was reset a moment ago
_NO_ANSWER = (
    OSError,
    TimeoutError,
    RuntimeError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
_SCHEMA = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError)


class BadData(Permanent):
    """PostgreSQL refuses a value; the message says which."""


def _said(error: Exception) -> str:
    """What is wrong, without the value: DETAIL and what follows a colon quote the row, which may hold an answer."""
    message = str(error.args[0])
    return message.partition(": ")[0] if isinstance(error, asyncpg.DataError) else message


class Statements(Protocol):
    """Where a statement is run: each in a transaction of its own, or several in one."""

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]: ...


class Transaction:
    """One connection inside a transaction."""

    def __init__(self, connection: Any, pool: "Pool") -> None:
        self._connection = connection
        self._pool = pool

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows. Raises BadData or Unavailable, and the transaction is over."""
        return await self._pool.run(self._connection, statement, arguments)


class _Joined(Transaction):
    """One that every statement of its pool joins. A statement that is refused takes back itself alone."""

    def is_of(self, pool: "Pool") -> bool:
        return self._pool is pool

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        await super().fetch("SAVEPOINT statement")
        try:
            rows = await super().fetch(statement, *arguments)
        except BadData:
            await super().fetch("ROLLBACK TO statement")
            raise
        await super().fetch("RELEASE statement")
        return rows


_JOINED: ContextVar[_Joined | None] = ContextVar("joined", default=None)


class Pool:
    """At most `size` connections, opened when they are needed. Each statement is its own transaction."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", place: str, timeout: float, setting: str = OURS) -> None:
        self._pool = pool
        self._place = place
        self._timeout = timeout
        self._setting = setting

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """The rows. Raises BadData or Unavailable."""
        joined = _JOINED.get()
        if joined is not None and joined.is_of(self):
            return await joined.fetch(statement, *arguments)
        connection = await self._acquire()
        try:
            return await self.run(connection, statement, arguments)
        finally:
            await self._pool.release(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Statements that take effect together, or not at all. Raises Unavailable."""
        joined = _JOINED.get()
        if joined is not None and joined.is_of(self):
            yield joined
            return
        async with self._begun() as connection:
            yield Transaction(connection, self)

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """As `transaction`, for everything that this task asks of the pool: repositories join without knowing of it."""
        joined = _JOINED.get()
        if joined is not None and joined.is_of(self):
            yield
            return
        async with self._begun() as connection:
            token = _JOINED.set(_Joined(connection, self))
            try:
                yield
            finally:
                _JOINED.reset(token)

    @asynccontextmanager
    async def _begun(self) -> AsyncIterator[Any]:
        connection = await self._acquire()
        try:
            await self.run(connection, "BEGIN", ())
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await self.run(connection, "ROLLBACK", ())
                raise
            await self.run(connection, "COMMIT", ())
        finally:
            await self._pool.release(connection)

    async def run(self, connection: Any, statement: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
        """The rows of a statement on `connection`. Raises BadData or Unavailable."""
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments, timeout=self._timeout)
        except _BAD_DATA as error:
            raise BadData(f"PostgreSQL refuses a value: {_said(error)}") from error
        except _NO_ANSWER as error:
            if not isinstance(error, asyncpg.PostgresError):
                connection.terminate()  # what it still does is unknown: never wait for it, never use it again
            raise self._unavailable(error) from error
        return rows

    async def _acquire(self) -> Any:
        try:
            return await self._pool.acquire(timeout=self._timeout)
        except _NO_ANSWER as error:
            raise self._unavailable(error) from error

    async def row(self, statement: str, *arguments: Any) -> asyncpg.Record | None:
        """The first row, None when there is none. Raises BadData or Unavailable."""
        rows = await self.fetch(statement, *arguments)
        return rows[0] if rows else None

    async def close(self) -> None:
        """Close the connections, after the statements that run, at most as long as one may run."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    def _unavailable(self, error: Exception) -> Unavailable:
        if isinstance(error, _SCHEMA):
            remedy = "run `structured-prompt migrate`" if self._setting == OURS else "docs/sinks.md has its tables"
            return Unavailable(f"{self._place} is not migrated ({error}): {remedy}")
        reason = str(error) or type(error).__name__
        return Unavailable(f"{self._place} does not answer: {reason}; check {self._setting} and the server")


async def connect(
    database_url: str,
    size: int,
    timeout: float = 8.0,  # noqa: ASYNC109 - of each statement
    setting: str = OURS,
) -> Pool:
    """A pool of `size` connections; the server is first asked by the first statement.

    database_url: postgresql://user:password@host:port/name, from the setting `setting`. timeout: seconds until a
    statement, or waiting for a connection, is given up as Unavailable; a server that swallows everything costs no more
    than that.
    """
    milliseconds = str(int(timeout * 1000))
    pool = asyncpg.create_pool(
        database_url,
        min_size=0,
        max_size=size,
        max_inactive_connection_lifetime=0,
        max_queries=0x7FFFFFFF,
        reset=_keep,
        timeout=min(CONNECT_TIMEOUT, timeout),
        statement_cache_size=200,
        max_cached_statement_lifetime=0,
        server_settings={
            **PLANNER,
            "application_name": "structured-prompt",
            "timezone": "UTC",
            "statement_timeout": milliseconds,
            "idle_in_transaction_session_timeout": milliseconds,
        },
    )
    await pool
    return Pool(pool, _place(database_url), timeout, setting)


def columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows as one list a column, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


async def _keep(connection: Any) -> None:
    """Statements leave nothing behind in a session, so that there is nothing to reset and no round trip for it."""


def _place(database_url: str) -> str:
    """The server without the password, for messages."""
    parts = urlsplit(database_url)
    return f"PostgreSQL at {parts.hostname}:{parts.port or 5432}{parts.path}"
