"""What `export` does."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, get_args

import typer
import uuid_utils

from cli._api import ask
from cli._export_options import Timing, What
from cli._output import print_json, print_rows, print_table
from cli._stack import Stack
from cli._target import Target, find
from cli._time import parse_since
from connectors.audited.postgres import Repositories
from connectors.exports import bucket_of
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import Pool, connect
from domain.errors import Conflict
from domain.exports import schedule as rules
from domain.exports.job import URL_S, Job, Order, need_bucket, permitted
from domain.exports.model import FORMATS, Status
from domain.exports.schedule import Schedule
from domain.exports.view import fields, schedule_fields
from domain.ports import Files
from topics.base import format_time

T = TypeVar("T")
BUCKET = "STRUCTURED_PROMPT_EXPORT_S3_BUCKET"
NO_URL = (
    "no URL: neither are the bucket's settings here (STRUCTURED_PROMPT_EXPORT_S3_…), nor does the API at API_URL give "
    "one for API_KEY; `up` writes both into DIR/env, the key is to be the tenant's"
)
COLUMNS = ("id", "status", "format", "since", "until", "rows", "bytes", "schedule", "detail")
SCHEDULE_COLUMNS = ("name", "cron", "time_zone", "format", "next_at", "paused_at", "last_export")


def create(stack: Stack, what: What, span: tuple[str, str | None], tenant: str | None, as_json: bool) -> None:
    """Raises Conflict, InvalidRequest."""
    target, now = _with_bucket(find(stack)), datetime.now(UTC)
    since, until = parse_since(span[0]), now if span[1] is None else parse_since(span[1])

    async def add(pool: Pool) -> Job:
        order = await _order(pool, target, tenant, what, (since, until))
        job = Job(target.tenant_or(tenant), f"exp_{uuid_utils.uuid7().hex}", order, now, now)
        if not await Repositories(pool).export_jobs.add(job):
            raise Conflict("too many exports of the tenant are not over yet; cancel one, or wait")
        return job

    job = _with_pool(target, add)
    if as_json:
        print_json(fields(job))
    else:
        print(f"{job.id} is queued; `structured-prompt export show {job.id}` tells how far it is")


def listing(stack: Stack, tenant: str | None, as_json: bool) -> None:
    target = find(stack)
    whose = target.tenant_or(tenant)
    rows = [
        fields(one) for one in _with_pool(target, lambda pool: Repositories(pool).export_jobs.page(whose, 200, None))
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(COLUMNS, [[(row | row["progress"])[name] for name in COLUMNS] for row in rows])


def show(stack: Stack, id: str, tenant: str | None) -> None:
    """Raises Conflict when there is none."""
    target = find(stack)
    job = _found(id, _with_pool(target, lambda pool: Repositories(pool).export_jobs.get(target.tenant_or(tenant), id)))
    print_json({**fields(job), **_place(target, job)})


def _place(target: Target, job: Job) -> dict[str, str | None]:
    """A signed URL of its file once that is there: by the bucket's settings, by the API where they are not here."""
    key = job.progress.key
    if job.state != "completed" or key is None:
        return {}
    files = bucket_of(target.settings)
    if files is not None:
        expires = format_time(datetime.now(UTC) + timedelta(seconds=URL_S))
        return {"url": asyncio.run(_signed(files, key, job.file)), "url_expires_at": expires}
    told = ask(target.environ, f"/v1/exports/{job.id}") or {}
    if not told.get("url"):
        typer.echo(NO_URL, err=True)
    return {name: told.get(name) for name in ("url", "url_expires_at")}


async def _signed(files: Files, key: str, name: str) -> str:
    try:
        return await files.signed(key, URL_S, name)
    finally:
        await files.close()


def cancel(stack: Stack, id: str, tenant: str | None) -> None:
    """Raises Conflict when there is none, or it is over."""
    target, whose = find(stack), find(stack).tenant_or(tenant)
    _found(id, _with_pool(target, lambda pool: Repositories(pool).export_jobs.get(whose, id)))
    if not _with_pool(target, lambda pool: Repositories(pool).export_jobs.cancel(whose, id, datetime.now(UTC))):
        raise Conflict(f"export {id} is over; nothing is changed")
    print(f"{id} is cancelled")


def schedule(stack: Stack, name: str, timing: Timing, what: What, tenant: str | None) -> None:
    """Raises Conflict, InvalidRequest."""
    target, now = _with_bucket(find(stack)), datetime.now(UTC)
    since = now if timing.since is None else parse_since(timing.since)
    following = rules.check(timing.cron, timing.zone, now)

    async def add(pool: Pool) -> bool:
        order = await _order(pool, target, tenant, what, (now, now))
        whose = target.tenant_or(tenant)
        made = Schedule(whose, name, timing.cron, timing.zone, order, now, since, following)
        return await Repositories(pool).export_schedules.create(made)

    if not _with_pool(target, add):
        raise Conflict(f"the name {name!r} is taken, or there are {rules.MOST_SCHEDULES} schedules")
    print(f"{name} runs next at {following:%Y-%m-%d %H:%M} UTC")


def schedules(stack: Stack, tenant: str | None, as_json: bool) -> None:
    target = find(stack)
    whose = target.tenant_or(tenant)
    found = _with_pool(target, lambda pool: Repositories(pool).export_schedules.listing(whose))
    rows = [schedule_fields(one) for one in found]
    print_rows(SCHEDULE_COLUMNS, rows, as_json)


def pause(stack: Stack, name: str, tenant: str | None, paused: bool) -> None:
    """Raises Conflict when there is no such schedule."""
    target = find(stack)
    whose, at = target.tenant_or(tenant), datetime.now(UTC) if paused else None
    _known(name, _with_pool(target, lambda pool: Repositories(pool).export_schedules.pause(whose, name, at)))
    print(f"{name} is paused" if paused else f"{name} goes on")


def unschedule(stack: Stack, name: str, tenant: str | None) -> None:
    """Raises Conflict when there is no such schedule."""
    target = find(stack)
    whose = target.tenant_or(tenant)
    _known(name, _with_pool(target, lambda pool: Repositories(pool).export_schedules.delete(whose, name)))
    print(f"{name} is removed")


def _with_bucket(target: Target) -> Target:
    """Raises InvalidRequest where there is none. That of an embedded stack is told by its env file."""
    need_bucket(target.settings.export_s3_bucket is not None or BUCKET in target.environ)
    return target


async def _order(pool: Pool, target: Target, tenant: str | None, what: What, span: tuple[datetime, datetime]) -> Order:
    if what.format not in FORMATS:
        raise typer.BadParameter(f"--format {what.format}: one of {', '.join(FORMATS)}")
    if what.status is not None and what.status not in get_args(Status):
        raise typer.BadParameter(f"--status {what.status}: one of {', '.join(get_args(Status))}")
    known = await PostgresAccounts(pool).tenant(target.tenant_or(tenant))
    if known is None:
        raise Conflict(f"there is no tenant {target.tenant_or(tenant)!r}")
    names = None if what.fields is None else [name.strip() for name in what.fields.split(",")]
    found = permitted(names, target.settings.sink_answers != "none" and known.store_answers)
    status: Any = what.status
    return Order(what.format, *span, what.template, status, None if names is None else found)


def _found(id: str, job: Job | None) -> Job:
    if job is None:
        raise Conflict(f"the tenant has no export {id!r}; `structured-prompt export list` shows them")
    return job


def _known(name: str, known: bool) -> None:
    if not known:
        raise Conflict(f"the tenant has no schedule {name!r}; `structured-prompt export schedules` shows them")


def _with_pool(target: Target, work: Callable[[Pool], Awaitable[T]]) -> T:
    async def run() -> T:
        pool = await connect(target.settings.database_url.get_secret_value(), 1)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
