"""The API's rows in PostgreSQL (rule D1)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.postgres.halving import halving
from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from domain.errors import Permanent
from domain.jobs.model import Job, JobView, Submission
from domain.jobs.states import job_state

_SQL = statements("jobs")
_CLAIMED_BY_THEN = timedelta(days=1)


class PostgresJobs:
    """Implements domain.ports.Jobs."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def submit(self, batch: Sequence[Job]) -> list[Submission | Permanent]:
        return await halving(batch, self._submit)

    async def produced(self, keys: Sequence[tuple[str, str]]) -> None:
        if keys:
            await self._pool.fetch(_SQL["produced"], *columns(sorted(set(keys)), 2))

    async def unproduced(self, older_than: timedelta, limit: int) -> list[Job]:
        return [Job(**row) for row in await self._pool.fetch(_SQL["unproduced"], older_than, limit)]

    async def view(self, tenant: str, ids: Sequence[str]) -> list[JobView]:
        return await self._views(tenant, ids, with_results=True)

    async def listing(self, tenant: str, limit: int, before: tuple[datetime, str] | None) -> list[JobView]:
        rows = await self._pool.fetch(_SQL["newest"], tenant, limit, *(before or (None, None)))
        return await self._views(tenant, [row["id"] for row in rows], with_results=False)

    async def _submit(self, batch: Sequence[Job]) -> list[Submission]:
        first: dict[tuple[str, str], int] = {}
        for place, job in enumerate(batch):
            first.setdefault((job.tenant, job.id), place)
        ordered = [first[key] for key in sorted(first)]
        met = await self._pool.fetch(_SQL["submit"], *columns([_columns(batch[place]) for place in ordered], 9))
        answers = dict.fromkeys(ordered, Submission.NEW)
        for row in met:
            del answers[ordered[row["n"]]]
        places = [place for place in range(len(batch)) if place not in answers]
        answers.update(await self._compare(batch, places))
        return [answers[place] for place in range(len(batch))]

    async def _compare(self, batch: Sequence[Job], places: Sequence[int]) -> dict[int, Submission]:
        if not places:
            return {}
        keys = [(batch[place].tenant, batch[place].id) for place in places]
        rows = await self._pool.fetch(_SQL["submitted"], *columns(keys, 2))
        found = {places[row["n"]]: row["body_hash"] for row in rows}
        return {
            place: Submission.REPEATED if found[place] == batch[place].body_hash else Submission.CONFLICT
            for place in places
        }

    async def _views(self, tenant: str, ids: Sequence[str], *, with_results: bool) -> list[JobView]:
        asked = list(dict.fromkeys(ids))
        if not asked:
            return []
        rows = {row["id"]: row for row in await self._pool.fetch(_SQL["view"], tenant, asked, with_results)}
        swept = [id for id in asked if _may_be_swept(rows.get(id))]
        kept = {}
        if swept:
            kept = {row["id"]: row for row in await self._pool.fetch(_SQL["kept_results"], tenant, swept, with_results)}
        return [_view(tenant, id, rows.get(id), kept.get(id)) for id in asked if id in rows or id in kept]


def _columns(job: Job) -> tuple[Any, ...]:
    return (
        job.tenant,
        job.id,
        job.body_hash,
        job.record,
        job.submitted_at,
        job.api_key_id,
        job.idempotency_key,
        job.traceparent,
        job.reply_to,
    )


def _may_be_swept(row: Any) -> bool:
    """Whether its claim may be over while its result is kept: an old job without a claim, or no row at all."""
    if row is None:
        return True
    return row["run"] is None and row["submitted_at"] < datetime.now(UTC) - _CLAIMED_BY_THEN


def _view(tenant: str, id: str, row: Any, kept: Any) -> JobView:
    if kept is not None:
        created = kept["settled_at"] if row is None else row["submitted_at"]
        state, at = job_state(kept["state"], kept["error_code"]), kept["settled_at"]
        return JobView(tenant, id, state, kept["run"], created, at, kept["error_code"], kept["result"])
    created = row["submitted_at"] or row["claimed_at"]
    return JobView(
        tenant=tenant,
        id=id,
        state=job_state(row["state"], row["error_code"]),
        run=row["run"] or 1,
        created_at=created,
        updated_at=row["updated_at"] or created,
        error_code=row["error_code"],
        result=row["result"],
        not_before=row["not_before"],
        reason=row["reason"],
        repeated=row["repeated"],
        unproduced_s=row["unproduced_s"],
    )
