"""A job in hand: its lease, and what the ledger knows of it."""

import asyncio
from collections.abc import Callable
from datetime import datetime

import structlog

from domain.errors import StructuredPromptError, Transient
from domain.exports.job import LEASE, Job, Progress
from domain.ports import ExportJobs

log = structlog.get_logger("export")
EVERY = LEASE / 6


class Lost(StructuredPromptError):
    """The job is somebody else's, or over."""


class Hold:
    """What another may take is never written any more: every word to the ledger names the fence."""

    def __init__(self, jobs: ExportJobs, job: Job, now: Callable[[], datetime]) -> None:
        self.job = job
        self.progress = job.progress
        self._jobs = jobs
        self._now = now
        self._until = job.due_at
        # a word that says less must not overtake one that says more
        self._one = asyncio.Lock()

    async def keep(self, progress: Progress) -> None:
        """Tell what is durable. Raises Lost, Unavailable."""
        async with self._one:
            until = self._now() + LEASE
            if not await self._jobs.hold(self.job, until, progress):
                raise Lost("the export is cancelled, or another process has it")
            self.progress, self._until = progress, until

    async def renew(self) -> None:
        """Until cancelled, or the job is lost, as it is too when the ledger was away for the whole lease."""
        while True:
            await asyncio.sleep(EVERY.total_seconds())
            try:
                await self.keep(self.progress)
            except Lost:
                return
            except Transient as error:
                log.warning("lease_not_renewed", export=self.job.id, reason=str(error))
                if self._now() >= self._until:
                    return
