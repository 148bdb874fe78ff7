"""Exports into a bucket and their schedules, in PostgreSQL."""

from datetime import datetime
from typing import Any

from connectors.postgres.pool import Pool
from connectors.postgres.queries import statements
from domain.exports.job import MOST_UNFINISHED, Job, Order, Progress, State
from domain.exports.schedule import MOST_SCHEDULES, Schedule

_SQL = statements("exports")
_PLAIN = (
    "tenant", "id", "created_at", "due_at", "schedule", "state", "detail", "fence", "tries", "started_at", "ended_at",
    "asked",
)  # fmt: skip


class PostgresExportJobs:
    """Implements domain.ports.ExportJobs."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, job: Job) -> bool:
        return await self._pool.row(_SQL["add"], *_new(job), MOST_UNFINISHED, job.asked) is not None

    async def get(self, tenant: str, id: str) -> Job | None:
        row = await self._pool.row(_SQL["get"], tenant, id)
        return None if row is None else _job(row)

    async def page(self, tenant: str, limit: int, before: tuple[datetime, str] | None) -> list[Job]:
        return [_job(row) for row in await self._pool.fetch(_SQL["page"], tenant, *(before or (None, None)), limit)]

    async def cancel(self, tenant: str, id: str, now: datetime) -> bool:
        return await self._pool.row(_SQL["cancel"], tenant, id, now) is not None

    async def take(self, now: datetime, until: datetime) -> Job | None:
        row = await self._pool.row(_SQL["take"], now, until)
        return None if row is None else _job(row)

    async def hold(self, job: Job, until: datetime, progress: Progress) -> bool:
        return await self._pool.row(_SQL["hold"], *_held(job), until, *_facts(progress)) is not None

    async def wait(self, job: Job, due_at: datetime, detail: str, progress: Progress) -> bool:
        return await self._pool.row(_SQL["wait"], *_held(job), due_at, *_facts(progress), detail) is not None

    async def end(self, job: Job, state: State, now: datetime, detail: str, progress: Progress) -> bool:
        return await self._pool.row(_SQL["end"], *_held(job), now, *_facts(progress), detail, state) is not None

    async def leftovers(self, limit: int) -> list[Job]:
        return [_job(row) for row in await self._pool.fetch(_SQL["leftovers"], limit)]

    async def cleaned(self, job: Job) -> None:
        await self._pool.fetch(_SQL["cleaned"], job.tenant, job.id)

    async def ended_before(self, before: datetime, limit: int) -> list[Job]:
        return [_job(row) for row in await self._pool.fetch(_SQL["ended_before"], before, limit)]

    async def forget(self, job: Job) -> None:
        await self._pool.fetch(_SQL["forget"], job.tenant, job.id)

    async def backlog(self, now: datetime) -> tuple[int, float]:
        row = await self._pool.row(_SQL["backlog"])
        if row is None or row["due_since"] is None:
            return 0, 0.0
        return row["waiting"], max(0.0, (now - row["due_since"]).total_seconds())


class PostgresExportSchedules:
    """Implements domain.ports.ExportSchedules."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create(self, schedule: Schedule) -> bool:
        one, order = schedule, schedule.order
        what = (order.format, order.template, order.status, _list(order.fields))
        times = (one.created_at, one.done_until, one.next_at)
        given = (one.tenant, one.name, one.cron, one.zone, *what, *times, MOST_SCHEDULES)
        return await self._pool.row(_SQL["create_schedule"], *given) is not None

    async def listing(self, tenant: str) -> list[Schedule]:
        return [_schedule(row) for row in await self._pool.fetch(_SQL["schedules"], tenant)]

    async def pause(self, tenant: str, name: str, at: datetime | None) -> bool:
        return await self._pool.row(_SQL["pause_schedule"], tenant, name, at) is not None

    async def delete(self, tenant: str, name: str) -> bool:
        return await self._pool.row(_SQL["delete_schedule"], tenant, name) is not None

    async def due(self, before: datetime, limit: int) -> list[Schedule]:
        return [_schedule(row) for row in await self._pool.fetch(_SQL["due_schedules"], before, limit)]

    async def run(self, job: Job, known: Schedule, then: Schedule) -> bool:
        moved = (known.next_at, then.done_until, then.next_at)
        return await self._pool.row(_SQL["run_schedule"], *_new(job), *moved) is not None


def _new(job: Job) -> tuple[Any, ...]:
    order = job.order
    what = (order.format, order.since, order.until, order.template, order.status, _list(order.fields))
    return (job.tenant, job.id, job.schedule, *what, job.created_at, job.due_at)


def _held(job: Job) -> tuple[Any, ...]:
    return job.tenant, job.id, job.fence


def _facts(one: Progress) -> tuple[Any, ...]:
    return one.rows, one.bytes, one.total, one.after, one.key, one.upload, list(one.parts)


def _list(fields: tuple[str, ...] | None) -> list[str] | None:
    return None if fields is None else list(fields)


def _order(row: Any, since: datetime, until: datetime) -> Order:
    fields = row["fields"]
    return Order(row["format"], since, until, row["template"], row["status"], None if fields is None else tuple(fields))


def _job(row: Any) -> Job:
    done = {name: row[name] for name in ("rows", "bytes", "total", "after", "key", "upload")}
    plain = {name: row[name] for name in _PLAIN}
    order = _order(row, row["since"], row["until"])
    return Job(order=order, progress=Progress(**done, parts=tuple(row["parts"])), **plain)


def _schedule(row: Any) -> Schedule:
    order = _order(row, row["created_at"], row["created_at"])
    plain = ("created_at", "done_until", "next_at", "paused_at", "last_job")
    return Schedule(
        row["tenant"], row["name"], row["cron"], row["zone"], order, *(row[name] for name in plain)
    )  # fmt: skip
