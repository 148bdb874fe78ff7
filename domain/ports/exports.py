"""Exports into a bucket: the jobs, their schedules, and where the files go."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.exports.job import Job, Progress, State
from domain.exports.schedule import Schedule


class ExportJobs(Protocol):
    """The ledger of exports. Who took a job names it with its fence; False says that it is another's, or over."""

    async def add(self, job: Job) -> bool:
        """False when the tenant has MOST_UNFINISHED already, or one with this id."""
        ...

    async def get(self, tenant: str, id: str) -> Job | None: ...

    async def page(self, tenant: str, limit: int, before: tuple[datetime, str] | None) -> list[Job]:
        """Newest first; `before` is (created_at, id) of the last one seen."""
        ...

    async def cancel(self, tenant: str, id: str, now: datetime) -> bool:
        """False when it is over, or was never there."""
        ...

    async def take(self, now: datetime, until: datetime) -> Job | None:
        """A job that is due, nobody else's until `until`. Tenants of which fewer are running come first."""
        ...

    async def hold(self, job: Job, until: datetime, progress: Progress) -> bool:
        """Keep it for longer, with what is durable by now."""
        ...

    async def wait(self, job: Job, due_at: datetime, detail: str, progress: Progress) -> bool:
        """Give it back until `due_at`."""
        ...

    async def end(self, job: Job, state: State, now: datetime, detail: str, progress: Progress) -> bool: ...

    async def leftovers(self, limit: int) -> list[Job]:
        """Jobs that failed or were cancelled and have parts or objects in the bucket."""
        ...

    async def cleaned(self, job: Job) -> None:
        """Nothing of it is in the bucket any more."""
        ...

    async def ended_before(self, before: datetime, limit: int) -> list[Job]: ...

    async def forget(self, job: Job) -> None: ...

    async def backlog(self, now: datetime) -> tuple[int, float]:
        """Jobs that are not over, and by how many seconds the one that is due longest is late."""
        ...


class ExportSchedules(Protocol):
    """When exports are made by themselves."""

    async def create(self, schedule: Schedule) -> bool:
        """False when the name is taken, or the tenant has MOST_SCHEDULES."""
        ...

    async def listing(self, tenant: str) -> list[Schedule]:
        """By name."""
        ...

    async def pause(self, tenant: str, name: str, at: datetime | None) -> bool:
        """None resumes it: what was passed by is then one run. False when there is no such schedule."""
        ...

    async def delete(self, tenant: str, name: str) -> bool: ...

    async def due(self, before: datetime, limit: int) -> list[Schedule]:
        """Those not paused whose next run is at `before` or earlier."""
        ...

    async def run(self, job: Job, known: Schedule, then: Schedule) -> bool:
        """Put the job there and move the schedule on, both or none; False when it is not as `known` any more."""
        ...


class Files(Protocol):
    """Objects made in parts: none is visible before it is whole. Raises StoreTrouble."""

    async def open(self) -> None:
        """Whether it can be had at all."""
        ...

    async def close(self) -> None: ...

    async def put(self, key: str, body: bytes) -> None: ...

    async def begin(self, key: str) -> str:
        """The name of an upload in parts."""
        ...

    async def part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """The tag of part `number` (from 1), which takes the place of one before. Raises UploadGone."""
        ...

    async def finish(self, key: str, upload: str, parts: Sequence[str]) -> None:
        """Now it is there. Raises UploadGone."""
        ...

    async def abort(self, key: str, upload: str) -> None:
        """No part of it is kept. One that is not there is no error."""
        ...

    async def clear(self, prefix: str, keep: str | None = None) -> None:
        """Remove every object under a prefix but one."""
        ...

    async def signed(self, key: str, seconds: int, name: str) -> str:
        """A URL that gives the object to whoever has it, for so long, as a file of this name."""
        ...
