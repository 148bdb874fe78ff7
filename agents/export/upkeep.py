"""What a process of exports does now and then: orders what schedules want, and forgets what is over."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
import uuid_utils

from domain.errors import Transient
from domain.exports import schedule as rules
from domain.metrics import Metrics
from domain.ports import ExportJobs, ExportSchedules, Files

log = structlog.get_logger("export")
EVERY_S = 5.0
AT_ONCE = 100


def new_id() -> str:
    return f"exp_{uuid_utils.uuid7().hex}"


class Upkeep:
    """`prefix` is before every key; ended exports are kept for `kept`."""

    def __init__(
        self, jobs: ExportJobs, schedules: ExportSchedules, files: Files, prefix: str, kept: timedelta
    ) -> None:
        self._jobs = jobs
        self._schedules = schedules
        self._files = files
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._kept = kept

    async def order(self, now: datetime) -> int:
        """A job for each schedule that is due; how many. Whoever comes second orders none. Raises Transient."""
        ordered = 0
        for one in await self._schedules.due(now - rules.SETTLE, AT_ONCE):
            job, then = rules.run(one, new_id(), now)
            if await self._schedules.run(job, one, then):
                log.info("ordered", export=job.id, tenant=job.tenant, schedule=one.name)
                ordered += 1
        return ordered

    async def tidy(self, now: datetime) -> None:
        """Remove what ended exports left in the bucket, and those that are old with their files. Raises Transient."""
        for job in await self._jobs.leftovers(AT_ONCE):
            if job.progress.upload and job.progress.key:
                await self._files.abort(job.progress.key, job.progress.upload)
            await self._files.clear(self._prefix + job.folder)
            await self._jobs.cleaned(job)
        for job in await self._jobs.ended_before(now - self._kept, AT_ONCE):
            await self._files.clear(self._prefix + job.folder)
            await self._jobs.forget(job)

    async def measure(self, metrics: Metrics, now: datetime) -> None:
        """Raises Transient."""
        unfinished, late = await self._jobs.backlog(now)
        metrics.gauge("exports_unfinished", unfinished)
        metrics.gauge("export_overdue_seconds", late)

    async def keep(self, metrics: Metrics, now: Callable[[], datetime]) -> None:
        """All of it, again and again until cancelled."""
        while True:
            for what in (self.order, self.tidy, lambda at: self.measure(metrics, at)):
                try:
                    await what(now())
                except Transient as error:
                    log.warning("export_waits", what="upkeep", reason=str(error))
                except Exception:
                    log.exception("fault", stage="export", what="upkeep")
            await asyncio.sleep(EVERY_S)
