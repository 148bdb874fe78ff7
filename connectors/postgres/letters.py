"""Dead letters in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from connectors.postgres.halving import distinct, halving
from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from domain.errors import Permanent
from domain.ledger.model import Source
from domain.letters.model import Letter, Redriven, Republish, Rerun, Wanted

_SQL = statements("letters")
NOBODY = ""
"""The tenant of a letter that belongs to none: a key has no NULL, and no tenant may have this name."""


class PostgresLetters:
    """Implements domain.ports.Letters."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def store(self, batch: Sequence[Letter]) -> None:
        newest = {(one.tenant or NOBODY, one.letter): one for one in sorted(batch, key=lambda one: one.last_seen)}
        given = [_columns(newest[key]) for key in sorted(newest)]
        if given:
            await self._pool.fetch(_SQL["store"], *columns(given, 13))

    async def page(self, wanted: Wanted, limit: int, before: tuple[datetime, str] | None) -> list[Letter]:
        statement = _SQL["page_of_all" if wanted.tenant is None else "page"]
        named = None if wanted.letters is None else list(wanted.letters)
        times = wanted.since, wanted.until
        filters = (wanted.tenant, wanted.code, wanted.id, *times, wanted.redriven, named, wanted.stage)
        rows = await self._pool.fetch(statement, *filters, *(before or (None, None)), limit)
        return [Letter(**row) for row in rows]

    async def get(self, tenant: str | None, letters: Sequence[str]) -> list[Letter]:
        return [Letter(**row) for row in await self._pool.fetch(_SQL["get"], tenant, list(letters))]

    async def sources(self, keys: Sequence[tuple[str, str]]) -> list[Source | None]:
        found: list[Source | None] = [None] * len(keys)
        for n, topic, partition, offset in await self._pool.fetch(_SQL["sources"], *columns(keys, 2)):
            found[n] = Source(topic, partition, offset)
        return found

    async def rerun(self, batch: Sequence[Rerun]) -> list[Redriven | Permanent]:
        return await distinct(batch, self._rerun)

    async def republish(self, batch: Sequence[Republish]) -> list[Redriven | Permanent]:
        return await halving(batch, self._republish)

    async def due(self, limit: int) -> list[tuple[Letter, bytes | None]]:
        rows = [dict(row) for row in await self._pool.fetch(_SQL["due"], limit)]
        return [(Letter(**row), value) for row in rows for value in [row.pop("value")]]

    async def published(self, letters: Sequence[Letter]) -> None:
        keys = sorted({(one.tenant or NOBODY, one.letter) for one in letters})
        if keys:
            await self._pool.fetch(_SQL["published"], *columns(keys, 2))

    async def _rerun(self, batch: Sequence[Rerun]) -> list[Redriven]:
        ordered = sorted(range(len(batch)), key=lambda place: (batch[place].tenant, batch[place].id))
        given = [_rerun_columns(batch[place]) for place in ordered]
        started = {row["n"] for row in await self._pool.fetch(_SQL["rerun"], *columns(given, 9))}
        answers = [Redriven.NOT_FAILED] * len(batch)
        for n in started:
            answers[ordered[n]] = Redriven.STARTED
        if len(started) < len(batch):
            rows = await self._pool.fetch(_SQL["standing"], *columns([place[:3] for place in given], 3))
            for row in rows:
                if row["passed"] and row["n"] not in started:
                    answers[ordered[row["n"]]] = Redriven.BEFORE
        return answers

    async def _republish(self, batch: Sequence[Republish]) -> list[Redriven]:
        keys = {(one.tenant or NOBODY, one.letter): place for place, one in enumerate(batch)}
        ordered = [keys[key] for key in sorted(keys)]
        given = [(*key, batch[keys[key]].not_before, batch[keys[key]].value) for key in sorted(keys)]
        answers = [Redriven.BEFORE] * len(batch)
        for row in await self._pool.fetch(_SQL["republish"], *columns(given, 4)):
            answers[ordered[row["n"]]] = Redriven.STARTED
        return answers


def _columns(one: Letter) -> tuple[Any, ...]:
    return (
        one.tenant or NOBODY,
        one.letter,
        one.id,
        one.run,
        one.code,
        one.stage,
        one.reason,
        one.topic,
        one.attempts,
        one.size,
        one.first_seen,
        one.last_seen,
        one.body or b"",
    )


def _rerun_columns(one: Rerun) -> tuple[Any, ...]:
    return (
        one.tenant,
        one.id,
        one.run,
        one.call,
        one.lane,
        one.fail_on_unknown,
        one.body_hash,
        one.not_before,
        one.letter,
    )
