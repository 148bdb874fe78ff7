"""The API's rows in this process (rule D1)."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from connectors.memory.store import Key, MemoryStore, Request, StoredJob, refusal
from domain.errors import Permanent
from domain.jobs.model import Job, JobView, Submission
from domain.jobs.states import job_state
from domain.ledger.model import State, repeated


class MemoryJobs:
    """Implements domain.ports.Jobs over the `store` that the in-memory ledger uses."""

    def __init__(self, store: MemoryStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def submit(self, batch: Sequence[Job]) -> list[Submission | Permanent]:
        return [refusal(job.tenant, job.id, job.idempotency_key) or self._submit(job) for job in batch]

    async def produced(self, keys: Sequence[tuple[str, str]]) -> None:
        for key in keys:
            if key in self._store.jobs:
                self._store.jobs[key].produced = True

    async def unproduced(self, older_than: timedelta, limit: int) -> list[Job]:
        until = self._now() - older_than
        late = [row for row in self._store.jobs.values() if not row.produced and row.created_at <= until]
        return [row.job for row in sorted(late, key=lambda row: row.created_at)[:limit]]

    async def view(self, tenant: str, ids: Sequence[str]) -> list[JobView]:
        views = (self._view((tenant, id), with_result=True) for id in dict.fromkeys(ids))
        return [view for view in views if view is not None]

    async def listing(self, tenant: str, limit: int, before: tuple[datetime, str] | None) -> list[JobView]:
        places = sorted((row.job.submitted_at, id) for (owner, id), row in self._store.jobs.items() if owner == tenant)
        page = [place for place in reversed(places) if before is None or place < before][:limit]
        views = (self._view((tenant, id), with_result=False) for _, id in page)
        return [view for view in views if view is not None]

    def _submit(self, job: Job) -> Submission:
        row = self._store.jobs.get((job.tenant, job.id))
        if row is not None:
            same = row.job.body_hash == job.body_hash
            return Submission.REPEATED if same else Submission.CONFLICT
        if job.idempotency_key is not None and self._key_is_taken(job):
            return Submission.CONFLICT
        self._store.jobs[job.tenant, job.id] = StoredJob(job, self._now())
        return Submission.NEW

    def _key_is_taken(self, job: Job) -> bool:
        mine = (job.tenant, job.idempotency_key)
        return any((row.job.tenant, row.job.idempotency_key) == mine for row in self._store.jobs.values())

    def _view(self, key: Key, *, with_result: bool) -> JobView | None:
        job, row = self._store.jobs.get(key), self._store.requests.get(key)
        if row is not None:
            return self._claimed_view(key, job.job.submitted_at if job else row.claimed_at, row, with_result)
        if job is not None:
            at = job.job.submitted_at
            open_for = None if job.produced else (self._now() - job.created_at).total_seconds()
            return JobView(*key, job_state(None, None), 1, at, at, unproduced_s=open_for)
        return None

    def _claimed_view(self, key: Key, created_at: datetime, row: Request, with_result: bool) -> JobView:
        wait = self._store.waiting.get(key) if row.state is State.WAITING else None
        return JobView(
            *key,
            state=job_state(row.state, row.error_code),
            run=row.run,
            created_at=created_at,
            updated_at=row.updated_at,
            error_code=row.error_code,
            result=row.results.get(row.run) if with_result else None,
            not_before=None if wait is None or wait.gate is not None else wait.not_before,
            reason=None if wait is None else wait.reason,
            repeated=repeated([(one.epoch, one.outcome) for one in row.tried]) if with_result else 0,
        )
