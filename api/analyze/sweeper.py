"""Produces again what was submitted and may never have reached the broker (rule D1). Every instance may run it."""

import asyncio
import logging
from datetime import timedelta

from api.analyze.service import Analyze
from domain.errors import Permanent, Transient
from domain.jobs.model import Job
from domain.metrics import Metrics
from domain.ports import Jobs

EVERY_S = 5.0
OLDER_THAN = timedelta(seconds=10)
BATCH = 100

log = logging.getLogger(__name__)


async def sweep(jobs: Jobs, analyze: Analyze, metrics: Metrics) -> int:
    """One pass: how many jobs were produced again. Raises Unavailable."""
    lost = await jobs.unproduced(OLDER_THAN, BATCH)
    if not lost:
        return 0
    done = await _publish(lost, analyze)
    await jobs.produced([(job.tenant, job.id) for job in done])
    metrics.count("jobs_republished", len(done))
    return len(done)


async def _publish(lost: list[Job], analyze: Analyze) -> list[Job]:
    """Those that got through: one that the broker will never take must not hold up the others."""
    try:
        await analyze.publish(lost)
    except Permanent:
        return [job for job in lost if await _published(job, analyze)]
    return lost


async def _published(job: Job, analyze: Analyze) -> bool:
    try:
        await analyze.publish([job])
    except Permanent as error:
        log.error("job %s of %s cannot be produced: %s", job.id, job.tenant, error)  # noqa: TRY400 - the reason is known
        return False
    return True


async def keep_sweeping(jobs: Jobs, analyze: Analyze, metrics: Metrics) -> None:
    """Until cancelled; after an outage, batch after batch."""
    while True:
        await asyncio.sleep(EVERY_S)
        try:
            while await sweep(jobs, analyze, metrics) == BATCH:
                log.info("produced %d submitted jobs again, going on", BATCH)
        except Transient as error:
            log.warning("submitted jobs cannot be produced again at present: %s", error)
        except Exception:
            log.exception("producing submitted jobs again failed")
