"""Makes the file of one export after the other."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

import structlog

from agents.export.holding import Hold, Lost
from agents.export.writing import Writing
from domain.errors import Permanent, Transient
from domain.exports import job as rules
from domain.exports.framing import Framer
from domain.exports.job import StoreTrouble, UploadGone
from domain.exports.model import Export
from domain.metrics import Metrics
from domain.ports import Accounts, Exporter, ExportJobs, Files

log = structlog.get_logger("export")
STEP = 50_000
"""Rows of one reading, after which another process could go on."""
Outcome = Literal["completed", "failed", "waits", "lost"]


@dataclass(frozen=True, slots=True)
class MakerPorts:
    """`now` is the clock."""

    jobs: ExportJobs
    exporter: Exporter
    files: Files
    accounts: Accounts
    metrics: Metrics
    now: Callable[[], datetime]


class Maker:
    """`prefix` is before every key; without `answers` those of nobody leave."""

    def __init__(self, ports: MakerPorts, prefix: str, answers: bool, step: int = STEP) -> None:
        self._ports = ports
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._answers = answers
        self._step = step

    async def turn(self) -> Outcome | None:
        """One job as far as it goes; None when none is due. A stop gives it back. Raises Unavailable (PostgreSQL)."""
        now = self._ports.now()
        job = await self._ports.jobs.take(now, now + rules.LEASE)
        if job is None:
            return None
        hold = Hold(self._ports.jobs, job, self._ports.now)
        making, renewing = asyncio.ensure_future(self._made(hold)), asyncio.ensure_future(hold.renew())
        renewing.add_done_callback(lambda _: making.cancel())
        try:
            outcome = await making
        except asyncio.CancelledError:
            if not renewing.done():
                await asyncio.shield(self._ports.jobs.wait(job, self._ports.now(), "", hold.progress))
                raise
            outcome = "lost"
        finally:
            renewing.cancel()
            await asyncio.gather(renewing, return_exceptions=True)
        self._ports.metrics.count("exports", outcome=outcome)
        log.info("turned", export=job.id, tenant=job.tenant, outcome=outcome, rows=hold.progress.rows)
        return outcome

    async def _made(self, hold: Hold) -> Outcome:
        try:
            await self._make(hold)
        except Lost:
            return "lost"
        except UploadGone as error:
            hold.progress = hold.progress.anew()
            return await self._wait(hold, error)
        except Transient as error:
            return await self._wait(hold, error)
        except Permanent as error:
            return await self._fail(hold, str(error))
        except Exception:
            log.exception("fault", stage="export", export=hold.job.id)
            return await self._fail(hold, "something failed on our side; the log has it under the export's id")
        return "completed"

    async def _make(self, hold: Hold) -> None:
        ports, job = self._ports, hold.job
        tenant = await ports.accounts.tenant(job.tenant)
        wanted = job.export(self._answers and tenant is not None and tenant.store_answers)
        await ports.files.open()
        whole = wanted.format == "parquet"
        if whole:
            wanted = await self._afresh(hold, wanted)
        if hold.progress.total is None:
            await hold.keep(replace(hold.progress, total=await ports.exporter.count(wanted)))
        key = f"{self._prefix}{job.folder}{job.fence}/{job.file}"
        writing = Writing(ports.files, hold, key, marks=not whole)
        rows = await (self._copy(hold, writing, wanted) if whole else self._go_on(hold, writing, wanted))
        size = await writing.finish()
        done = replace(hold.progress, rows=rows, bytes=size, after="", key=writing.key, upload=None, parts=())
        if not await ports.jobs.end(job, "completed", ports.now(), "", done):
            raise Lost("cancelled at the very end")
        hold.progress = done
        ports.metrics.count("export_bytes", size)
        with suppress(Transient):  # what an upload that was taken over may have left; the sweep removes it too
            await ports.files.clear(self._prefix + job.folder, keep=writing.key)

    async def _afresh(self, hold: Hold, wanted: Export) -> Export:
        """Nobody goes on in the middle of Parquet, whose end knows all that is before it."""
        if hold.progress.upload and hold.progress.key:
            await self._ports.files.abort(hold.progress.key, hold.progress.upload)
        await hold.keep(hold.progress.anew())
        return replace(wanted, after="")

    async def _copy(self, hold: Hold, writing: Writing, wanted: Export) -> int:
        async with aclosing(self._ports.exporter.file(wanted)) as pieces:  # type: ignore[type-var]  # a generator
            async for piece in pieces:
                await writing.add(piece)
        return hold.progress.total or 0

    async def _go_on(self, hold: Hold, writing: Writing, wanted: Export) -> int:
        """Reading by reading: the rows up to an id, then a mark."""
        rows = hold.progress.rows
        framer = Framer(wanted, begun=rows > 0)
        while True:
            step = await self._ports.exporter.step(wanted, self._step)
            if step.rows:
                await self._read(writing, framer, replace(wanted, upto=step.last))
                rows += step.rows
                wanted = replace(wanted, after=step.last)
                await writing.mark(rows, step.last)
            if step.rows < self._step:
                break
        await writing.add(framer.end())
        return rows

    async def _read(self, writing: Writing, framer: Framer, part: Export) -> None:
        async with aclosing(self._ports.exporter.rows(part)) as pieces:  # type: ignore[type-var]  # a generator
            async for piece in pieces:
                await writing.add(framer.piece(piece))

    async def _wait(self, hold: Hold, error: Transient) -> Outcome:
        """Of our own dependencies a tenant learns no more than that they are away."""
        now = self._ports.now()
        due_at = rules.again(hold.job, now, error.retry_after)
        detail = str(error) if isinstance(error, StoreTrouble) else "a part of the service does not answer"
        log.warning("export_waits", export=hold.job.id, tenant=hold.job.tenant, reason=str(error))
        if due_at is None:
            return await self._fail(hold, f"given up after {rules.GIVE_UP // rules.HOUR} h: {detail}")
        kept = await self._ports.jobs.wait(hold.job, due_at, detail, hold.progress)
        return "waits" if kept else "lost"

    async def _fail(self, hold: Hold, detail: str) -> Outcome:
        ended = await self._ports.jobs.end(hold.job, "failed", self._ports.now(), detail, hold.progress)
        return "failed" if ended else "lost"
