"""Answers to the same question in other words, in PostgreSQL with pgvector."""

from collections.abc import Sequence
from dataclasses import astuple

import orjson

from connectors.postgres.pool import Pool, columns, connect
from connectors.postgres.queries import statements
from domain.caching.semantic import Check, Kept, Known, Place, Seen, Trust
from domain.errors import Unavailable

_SQL = statements("similar")
MAX_ENTRY_BYTES = 256 * 1024
"""A larger answer is not kept."""

Name = tuple[str, str, int]


async def ensure(pool: Pool) -> None:
    """Make the table where pgvector can be had; nothing where it is there, or cannot. Raises Unavailable."""
    await pool.fetch(_SQL["ensure"])


async def lacking(pool: Pool) -> str | None:
    """Why there are no answers to other wordings, with the remedy; None where there are. Raises Unavailable."""
    row = await pool.row(_SQL["state"])
    if row is None or row["ready"]:
        return None
    if row["available"]:
        return "pgvector is not set up in the database: run `structured-prompt migrate` with the right to create it"
    return "pgvector is not installed on the PostgreSQL server: install it, then run `structured-prompt migrate`"


async def lacking_at(database_url: str) -> str | None:
    """The same of a database that nobody is connected to. Raises Unavailable."""
    pool = await connect(database_url, 1, timeout=5.0)
    try:
        return await lacking(pool)
    finally:
        await pool.close()


async def sweep(pool: Pool) -> None:
    """Forget what is over. Raises Unavailable."""
    if await lacking(pool) is None:
        while len(await pool.fetch(_SQL["forget_expired"])) == 10_000:
            pass


class PostgresSimilarAnswers:
    """Implements domain.ports.SimilarAnswers."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def peek(self, batch: Sequence[Place]) -> list[Seen]:
        rows = await self._pool.fetch(_SQL["peek"], *columns([astuple(place) for place in batch], 5))
        found = {row["n"]: Seen(row["known"], row["closed"]) for row in rows}
        return [found[n] for n in range(len(batch))]

    async def compare(self, batch: Sequence[tuple[Place, Sequence[float]]]) -> list[Known | None]:
        given = [(place.tenant, place.partition, place.sense, _text(vector)) for place, vector in batch]
        rows = await self._pool.fetch(_SQL["compare"], *columns(given, 4))
        found = {
            row["n"]: Known(row["similarity"], row["entry"], row["cache_key"], orjson.loads(row["tags"]))
            for row in rows
        }
        return [found.get(n) for n in range(len(batch))]

    async def keep(self, batch: Sequence[Kept]) -> None:
        newest = {(one.place.tenant, one.place.partition, one.place.sense): one for one in batch}
        rows = [
            (*key, one.known.cache_key, orjson.dumps(one.known.tags), _text(one.vector), one.known.entry, one.ttl)
            for key, one in sorted(newest.items())
            if len(one.known.entry) <= MAX_ENTRY_BYTES and one.ttl > 0
        ]
        if rows:
            await self._pool.fetch(_SQL["keep"], *columns(rows, 8))

    async def note(self, batch: Sequence[Check]) -> list[Trust]:
        names = sorted({_name(check) for check in batch})
        async with self._pool.transaction() as transaction:
            await transaction.fetch(_SQL["begin_trust"], *columns(names, 3))
            rows = await transaction.fetch(_SQL["lock_trust"], *columns(names, 3))
            trusts = {_name(trust): trust for trust in (Trust(**row) for row in rows)}
            if len(trusts) < len(names):
                raise Unavailable("what is known of a template vanished while it was checked; try again")
            for check in batch:
                trusts[_name(check)] = trusts[_name(check)].after(check)
            await transaction.fetch(_SQL["set_trust"], *columns([astuple(trust) for trust in trusts.values()], 7))
        return [trusts[_name(check)] for check in batch]

    async def trust(self, tenant: str) -> list[Trust]:
        return [Trust(**row) for row in await self._pool.fetch(_SQL["trust"], tenant)]


def _name(one: Check | Trust) -> Name:
    return one.tenant, one.template, one.version


def _text(vector: Sequence[float]) -> str:
    """As pgvector reads it; nine digits are all that its numbers hold."""
    return f"[{('%.9g,' * len(vector))[:-1] % tuple(vector)}]"
