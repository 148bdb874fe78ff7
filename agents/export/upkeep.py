"""What a process of exports does now and then: orders what schedules want, and forgets what is over."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
import uuid_utils

from domain.errors import Transient
from domain.exports import schedule as rules
from domain.metrics import Metrics
from domain.ports import ExportJobs, ExportSchedules, Files, SinkBoard
from domain.sinks.model import SinkView

log = structlog.get_logger("export")
EVERY_S = 5.0
USAGE_SINK = "clickhouse"
AT_ONCE = 100


def new_id() -> str:
    return f"exp_{uuid_utils.uuid7().hex}"


@dataclass(frozen=True, slots=True)
class UpkeepPorts:
    """What it works with. sinks: where it is told how far the usage database is."""

    jobs: ExportJobs
    schedules: ExportSchedules
    files: Files
    sinks: SinkBoard


class Upkeep:
    """`prefix` is before every key; ended exports are kept for `kept`."""

    def __init__(self, ports: UpkeepPorts, prefix: str, kept: timedelta) -> None:
        self._jobs = ports.jobs
        self._schedules = ports.schedules
        self._files = ports.files
        self._sinks = ports.sinks
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._kept = kept

    async def order(self, now: datetime) -> int:
        """A job for each schedule that is due; how many. Whoever comes second orders none. Raises Transient."""
        ordered, due = 0, await self._schedules.due(now - rules.SETTLE, AT_ONCE)
        sink = await self._usage_sink() if due else None
        for one in due:
            job, then = rules.run(one, new_id(), now)
            if rules.arrived(sink, job.order.until, now) and await self._schedules.run(job, one, then):
                log.info("ordered", export=job.id, tenant=job.tenant, schedule=one.name)
                ordered += 1
        return ordered

    async def _usage_sink(self) -> SinkView | None:
        return next((one for one in await self._sinks.look() if one.name == USAGE_SINK), None)

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
