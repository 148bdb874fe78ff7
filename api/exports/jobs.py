"""Exports into the service's bucket, and their schedules, of one tenant."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import uuid_utils

from api.bodies import read
from api.export_schemas import ExportOrder, NewSchedule, SchedulePause
from api.paging import decode_cursor, encode_cursor
from api.problems import Problem
from api.usage.service import since_of
from api.within import LEDGER, PATIENCE_S, within
from domain.accounts.model import Tenant
from domain.errors import Problem as Reason
from domain.exports import schedule as rules
from domain.exports.job import MOST_UNFINISHED, URL_S, Job, Order, id_of_key, is_job, need_bucket, permitted
from domain.exports.schedule import MOST_SCHEDULES, Schedule
from domain.exports.view import fields, schedule_fields
from domain.ports import ExportJobs, ExportSchedules, Files
from topics.base import format_time

BUSY_S = 60


@dataclass(frozen=True, slots=True)
class Bucket:
    """`files` None: there is none. `answers`: whether the operator lets any leave. `now` is the clock."""

    files: Files | None
    answers: bool
    now: Callable[[], datetime]


class JobKeeper:
    """Answers are bodies. Raises Problem: invalid_request, not_found, finished, unavailable; InvalidRequest."""

    def __init__(self, jobs: ExportJobs, schedules: ExportSchedules, bucket: Bucket) -> None:
        self._jobs = jobs
        self._schedules = schedules
        self._bucket = bucket

    async def create(self, tenant: Tenant, order: ExportOrder, key: str | None) -> tuple[bytes, str]:
        """The job, and where it is; under a key that was used for the same order, the job that this made.

        Raises Problem also with id_conflict.
        """
        job = self._ordered(tenant, order, key)
        known = None if key is None else await self._same(job)
        if known is None and not await within(self._jobs.add(job), PATIENCE_S, LEDGER):
            known = None if key is None else await self._same(job)  # somebody was faster
            if known is None:
                detail = f"{MOST_UNFINISHED} exports of the tenant are not over yet; cancel one, or wait"
                raise Problem("rate_limited", detail, headers={"retry-after": str(BUSY_S)})
        return orjson.dumps(fields(known or job)), f"/v1/exports/{job.id}"

    async def _same(self, job: Job) -> Job | None:
        """As it was first answered; None where there is none of that id."""
        known = await within(self._jobs.get(job.tenant, job.id), PATIENCE_S, LEDGER)
        if known is not None and known.asked != job.asked:
            detail = "the Idempotency-Key was used for an export with another body; choose a new one"
            raise Problem("id_conflict", detail)
        return None if known is None else known.ordered

    def _ordered(self, tenant: Tenant, order: ExportOrder, key: str | None) -> Job:
        need_bucket(self._bucket.files is not None)
        if order.after is not None:
            reason = Reason("/after", "is for exports that are streamed: a job goes on by itself")
            raise Problem("invalid_request", reason.message, (reason,))
        now = self._bucket.now()
        since = since_of(order.since, now, "/since")
        until = now if order.until is None else since_of(order.until, now, "/until")
        names = self._permitted(tenant, order.fields)
        what = Order(order.format, since, until, order.template, order.status, names)
        if key is None:
            return Job(tenant.name, f"exp_{uuid_utils.uuid7().hex}", what, now, now)
        # of what was asked, not of what it means now: `7d` of a repeat is another week
        asked = hashlib.sha256(orjson.dumps(order.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)).digest()
        return Job(tenant.name, id_of_key(tenant.name, key), what, now, now, asked=asked)

    async def page(self, tenant: str, limit: int, cursor: str | None) -> bytes:
        before = decode_cursor(cursor) if cursor else None
        found = await within(self._jobs.page(tenant, limit + 1, before), PATIENCE_S, LEDGER)
        more = encode_cursor(found[limit - 1].created_at, found[limit - 1].id) if len(found) > limit else None
        return orjson.dumps({"items": [fields(one) for one in found[:limit]], "next_cursor": more})

    async def one(self, tenant: str, id: str) -> bytes:
        """With a URL that gives its file to whoever has it, once it is there."""
        job = await self._get(tenant, id)
        shown: dict[str, Any] = {**fields(job), "url": None, "url_expires_at": None}
        if job.state == "completed" and self._bucket.files is not None and job.progress.key is not None:
            shown["url"] = await self._bucket.files.signed(job.progress.key, URL_S, job.file)
            shown["url_expires_at"] = format_time(self._bucket.now() + timedelta(seconds=URL_S))
        return orjson.dumps(shown)

    async def cancel(self, tenant: str, id: str) -> bytes:
        job = await self._get(tenant, id)
        if not await within(self._jobs.cancel(tenant, id, self._bucket.now()), PATIENCE_S, LEDGER):
            raise Problem("finished", f"export {job.id} is {job.state}; nothing is changed")
        return orjson.dumps(fields(await self._get(tenant, id)))

    async def schedules(self, tenant: str) -> bytes:
        found = await within(self._schedules.listing(tenant), PATIENCE_S, LEDGER)
        return orjson.dumps({"items": [schedule_fields(one) for one in found], "next_cursor": None})

    async def schedule(self, tenant: Tenant, body: bytes) -> bytes:
        need_bucket(self._bucket.files is not None)
        asked, now = read(NewSchedule, body), self._bucket.now()
        names = self._permitted(tenant, asked.fields)
        since = now if asked.since is None else since_of(asked.since, now, "/since")
        order = Order(asked.format, now, now, asked.template, asked.status, names)
        following = rules.check(asked.cron, asked.time_zone, now)
        made = Schedule(tenant.name, asked.name, asked.cron, asked.time_zone, order, now, since, following)
        if not await within(self._schedules.create(made), PATIENCE_S, LEDGER):
            reason = Reason("/name", f"is taken, or there are {MOST_SCHEDULES} schedules; nothing was changed")
            raise Problem("exists", f"the name {reason.message}", (reason,))
        return orjson.dumps(schedule_fields(made))

    async def pause(self, tenant: str, name: str, body: bytes) -> bytes:
        at = self._bucket.now() if read(SchedulePause, body).paused else None
        if not await within(self._schedules.pause(tenant, name, at), PATIENCE_S, LEDGER):
            raise _no_schedule(name)
        found = await within(self._schedules.listing(tenant), PATIENCE_S, LEDGER)
        return orjson.dumps(next((schedule_fields(one) for one in found if one.name == name), None))

    async def unschedule(self, tenant: str, name: str) -> None:
        if not await within(self._schedules.delete(tenant, name), PATIENCE_S, LEDGER):
            raise _no_schedule(name)

    async def _get(self, tenant: str, id: str) -> Job:
        found = await within(self._jobs.get(tenant, id), PATIENCE_S, LEDGER) if is_job(id) else None
        if found is None:
            raise Problem("not_found", f"no export has the id {id[:64]!r}; GET /v1/exports lists them")
        return found

    def _permitted(self, tenant: Tenant, names: list[str] | None) -> tuple[str, ...] | None:
        found = permitted(names, self._bucket.answers and tenant.store_answers)
        return None if names is None else found


def _no_schedule(name: str) -> Problem:
    return Problem("not_found", f"no schedule has the name {name[:64]!r}; GET /v1/exports/schedules lists them")
