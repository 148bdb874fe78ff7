"""Exports into a bucket in this process: the twins of connectors/postgres/exports.py and of a bucket."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from domain.exports.job import MOST_UNFINISHED, Job, Progress, State, StoreTrouble, UploadGone
from domain.exports.schedule import MOST_SCHEDULES, Schedule


class MemoryExportJobs:
    """Implements domain.ports.ExportJobs."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], Job] = {}

    async def add(self, job: Job) -> bool:
        if sum(one.tenant == job.tenant and one.ended_at is None for one in self._rows.values()) >= MOST_UNFINISHED:
            return False
        return self._rows.setdefault((job.tenant, job.id), job) is job

    async def get(self, tenant: str, id: str) -> Job | None:
        return self._rows.get((tenant, id))

    async def page(self, tenant: str, limit: int, before: tuple[datetime, str] | None) -> list[Job]:
        own = sorted(
            (one for one in self._rows.values() if one.tenant == tenant), key=lambda one: (one.created_at, one.id)
        )
        return [one for one in reversed(own) if before is None or (one.created_at, one.id) < before][:limit]

    async def cancel(self, tenant: str, id: str, now: datetime) -> bool:
        job = self._rows.get((tenant, id))
        if job is None or job.ended_at is not None:
            return False
        self._rows[tenant, id] = replace(job, state="cancelled", detail="", ended_at=now)
        return True

    async def take(self, now: datetime, until: datetime) -> Job | None:
        due = [one for one in self._rows.values() if one.ended_at is None and one.due_at <= now]
        if not due:
            return None
        held = [one.tenant for one in self._rows.values() if one.state == "running" and one.due_at > now]
        job = min(due, key=lambda one: (held.count(one.tenant), one.due_at)).taken(until, now)
        self._rows[job.tenant, job.id] = job
        return job

    async def hold(self, job: Job, until: datetime, progress: Progress) -> bool:
        known = self._held(job)
        if known is None:
            return False
        tries = 0 if progress.bytes > known.progress.bytes else known.tries
        self._rows[job.tenant, job.id] = replace(known, due_at=until, tries=tries, progress=progress)
        return True

    async def wait(self, job: Job, due_at: datetime, detail: str, progress: Progress) -> bool:
        known = self._held(job)
        if known is not None:
            waiting = replace(known, state="queued", due_at=due_at, detail=detail, progress=progress)
            self._rows[job.tenant, job.id] = waiting
        return known is not None

    async def end(self, job: Job, state: State, now: datetime, detail: str, progress: Progress) -> bool:
        known = self._held(job)
        if known is not None:
            ended = replace(known, state=state, ended_at=now, detail=detail, progress=progress)
            self._rows[job.tenant, job.id] = ended
        return known is not None

    async def leftovers(self, limit: int) -> list[Job]:
        return [one for one in self._rows.values() if one.state in ("failed", "cancelled") and one.progress.key][:limit]

    async def cleaned(self, job: Job) -> None:
        known = self._rows[job.tenant, job.id]
        progress = replace(known.progress, key=None, upload=None, parts=())
        self._rows[job.tenant, job.id] = replace(known, progress=progress)

    async def ended_before(self, before: datetime, limit: int) -> list[Job]:
        return [one for one in self._rows.values() if one.ended_at is not None and one.ended_at < before][:limit]

    async def forget(self, job: Job) -> None:
        self._rows.pop((job.tenant, job.id), None)

    async def backlog(self, now: datetime) -> tuple[int, float]:
        due = [one.due_at for one in self._rows.values() if one.ended_at is None]
        return len(due), max(0.0, (now - min(due)).total_seconds()) if due else 0.0

    def put(self, job: Job) -> None:
        """What a schedule orders, whatever else is under way."""
        self._rows[job.tenant, job.id] = job

    def _held(self, job: Job) -> Job | None:
        known = self._rows.get((job.tenant, job.id))
        return known if known is not None and known.state == "running" and known.fence == job.fence else None


class MemoryExportSchedules:
    """Implements domain.ports.ExportSchedules, beside the jobs it orders."""

    def __init__(self, jobs: MemoryExportJobs) -> None:
        self._jobs = jobs
        self._rows: dict[tuple[str, str], Schedule] = {}

    async def create(self, schedule: Schedule) -> bool:
        key = (schedule.tenant, schedule.name)
        if key in self._rows or len(await self.listing(schedule.tenant)) >= MOST_SCHEDULES:
            return False
        self._rows[key] = schedule
        return True

    async def listing(self, tenant: str) -> list[Schedule]:
        return sorted((one for one in self._rows.values() if one.tenant == tenant), key=lambda one: one.name)

    async def pause(self, tenant: str, name: str, at: datetime | None) -> bool:
        one = self._rows.get((tenant, name))
        if one is not None:
            self._rows[tenant, name] = replace(one, paused_at=None if at is None else one.paused_at or at)
        return one is not None

    async def delete(self, tenant: str, name: str) -> bool:
        return self._rows.pop((tenant, name), None) is not None

    async def due(self, before: datetime, limit: int) -> list[Schedule]:
        found = (one for one in self._rows.values() if one.paused_at is None and one.next_at <= before)
        return sorted(found, key=lambda one: one.next_at)[:limit]

    async def run(self, job: Job, known: Schedule, then: Schedule) -> bool:
        one = self._rows.get((known.tenant, known.name))
        if one is None or one.next_at != known.next_at or one.paused_at is not None:
            return False
        moved = replace(one, done_until=then.done_until, next_at=then.next_at, last_job=job.id)
        self._rows[known.tenant, known.name] = moved
        self._jobs.put(job)
        return True


class MemoryFiles:
    """Implements domain.ports.Files. While `trouble` is set every call raises it."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.trouble: StoreTrouble | None = None
        self._number = 0

    async def open(self) -> None:
        self._check()

    async def close(self) -> None:
        return

    async def put(self, key: str, body: bytes) -> None:
        self._check()
        self.objects[key] = body

    async def begin(self, key: str) -> str:
        self._check()
        self._number += 1
        name = f"{key}#{self._number}"
        self.uploads[name] = {}
        return name

    async def part(self, key: str, upload: str, number: int, body: bytes) -> str:  # noqa: ARG002
        self._check()
        self._parts(upload)[number] = body
        return str(hash(body))

    async def finish(self, key: str, upload: str, parts: Sequence[str]) -> None:
        self._check()
        found = self._parts(upload)
        if [str(hash(found.get(number, b""))) for number in range(1, len(parts) + 1)] != list(parts):
            raise UploadGone("a part is not what it was")
        self.objects[key] = b"".join(found[number] for number in range(1, len(parts) + 1))
        del self.uploads[upload]

    async def abort(self, key: str, upload: str) -> None:  # noqa: ARG002
        self._check()
        self.uploads.pop(upload, None)

    async def clear(self, prefix: str, keep: str | None = None) -> None:
        self._check()
        for key in [key for key in self.objects if key.startswith(prefix) and key != keep]:
            del self.objects[key]

    async def signed(self, key: str, seconds: int, name: str) -> str:
        return f"memory://{key}?seconds={seconds}&name={name}"

    def _parts(self, upload: str) -> dict[int, bytes]:
        if upload not in self.uploads:
            raise UploadGone("the upload is gone")
        return self.uploads[upload]

    def _check(self) -> None:
        if self.trouble is not None:
            raise self.trouble
