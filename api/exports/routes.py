"""/v1/exports: streamed, or as jobs into the service's bucket, and their schedules."""

from typing import Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import answer_headers, documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.analyze.submission import checked_key
from api.authentication import caller_of
from api.bodies import read
from api.export_schemas import ExportOrder
from api.exports.jobs import JobKeeper
from api.exports.service import Exports
from domain.exports.model import MEDIA_TYPES

_ORDER = {
    "format": "csv", "since": "7d", "template": "sentiment", "status": "completed",
    "fields": ["id", "model", "cost_usd", "completed_at", "output"],
}  # fmt: skip
_ROW = {"id": "order-981", "model": "gpt-4o-mini", "cost_usd": "0.0000094"}
_ROWS: dict[str, Any] = {
    "csv": '"id","model","cost_usd"\n"order-981","gpt-4o-mini",0.0000094\n',
    "json": [_ROW],
    "jsonl": '{"id":"order-981","model":"gpt-4o-mini","cost_usd":"0.0000094"}\n',
    "parquet": "PAR1…",
}
_JOB = {
    "id": "exp_019abc0000007000a000000000000001", "status": "running", "detail": None, "schedule": None,
    "format": "csv", "fields": None, "only": {"template": "sentiment", "status": None},
    "since": "2026-01-01T00:00:00.000Z", "until": "2026-01-08T00:00:00.000Z",
    "progress": {"rows": 150_000, "total_rows": 981_000, "bytes": 81_000_000}, "file": None, "next_try_at": None,
    "created_at": "2026-01-08T00:00:01.000Z", "started_at": "2026-01-08T00:00:02.000Z", "ended_at": None,
    "links": {"self": "/v1/exports/exp_019abc0000007000a000000000000001"},
}  # fmt: skip
_SCHEDULE = {
    "name": "nightly", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "format": "parquet", "fields": None,
    "only": {"template": None, "status": "completed"}, "paused_at": None, "done_until": "2026-01-08T02:00:00.000Z",
    "next_at": "2026-01-09T02:00:00.000Z", "last_export": None, "created_at": "2026-01-08T00:00:00.000Z",
}  # fmt: skip
_WANTED = {
    "name": "nightly", "cron": "0 3 * * *", "time_zone": "Europe/Berlin", "format": "parquet", "status": "completed",
}  # fmt: skip
_KEY = documentation.header(
    "Idempotency-Key",
    "Makes a repeat with `to` s3 safe: as long as the job is kept, a day at least, it is answered as the first was.",
    "nightly-2026-01-08",
)
_STANDS = (
    "`status` is queued, waiting (`detail` says for what; it is tried again at `next_try_at`, for a day), running, "
    "completed, failed or cancelled."
)
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, streamed: rows in the order of their ids. A connection that breaks before the end "
        "is an export that is not whole: ask for the rest with `after`.",
        "content": {kind.partition(";")[0]: {"example": _ROWS[name]} for name, kind in MEDIA_TYPES.items()},
        "headers": answer_headers.of("Content-Disposition"),
    },
    202: documentation.answer("With `to` s3: the job. `Location` is where it is.", _JOB, sends=("Location",)),
    **documentation.errors("invalid_request", "rate_limited", "id_conflict"),
}
_SIGNED = {
    "status": "completed", "file": "results-20260101T000000Z-20260108T000000Z.csv", "url": "https://…",
    "url_expires_at": "2026-01-08T01:00:00.000Z",
}  # fmt: skip
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(f"{_STANDS} `url` gives the file for an hour.", {**_JOB, **_SIGNED}),
    **documentation.errors("not_found"),
}
_CANCELLED: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_STANDS, {**_JOB, "status": "cancelled"}),
    **documentation.errors("not_found", "finished"),
}
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_STANDS, {"items": [_JOB], "next_cursor": None}),
    **documentation.errors("invalid_request"),
}
_SCHEDULED: dict[int | str, dict[str, Any]] = {
    201: documentation.answer("The schedule.", _SCHEDULE),
    **documentation.errors("invalid_request", "exists"),
}
_SCHEDULES: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("By name.", {"items": [_SCHEDULE], "next_cursor": None}),
    **documentation.errors(),
}
_CHANGED: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("The schedule.", _SCHEDULE),
    **documentation.errors("invalid_request", "not_found"),
}


def router(exports: Exports, jobs: JobKeeper) -> APIRouter:
    routes = APIRouter(tags=["exports"], dependencies=AS_CALLER)
    _ordering(routes, exports, jobs)
    _scheduling(routes, jobs)
    _stopping(routes, jobs)
    _reading(routes, jobs)
    return routes


def _ordering(routes: APIRouter, exports: Exports, jobs: JobKeeper) -> None:
    @routes.post(
        "/v1/exports", summary="Export results", operation_id="export_results", responses=_RESPONSES,
        response_class=Response,
        openapi_extra={
            "requestBody": documentation.body("ExportOrder", _ORDER, required=False), "parameters": [_KEY],
        },
    )  # fmt: skip
    async def export(request: Request) -> Response:
        """The tenant's results of a time as CSV, JSON, JSON lines or Parquet: the latest run of each request.

        Answers are in it only where the tenant's answers are kept. Money is in US dollars, times are RFC 3339 in UTC.
        With `to` s3 it is made in the background, and its file lies in the service's bucket; an `Idempotency-Key` then
        makes a repeat the same job.
        """
        tenant, order = caller_of(request).tenant, read(ExportOrder, await request.body())
        if order.to == "s3":
            key = checked_key(request.headers.get("idempotency-key"))
            body, place = await jobs.create(tenant, order, key)
            return Response(body, 202, {"location": place}, media_type=JSON)
        file = await exports.file(tenant.name, order)
        named = {"content-disposition": f'attachment; filename="{file.name}"'}
        return StreamingResponse(file.pieces, headers=named, media_type=file.media_type)


def _scheduling(routes: APIRouter, jobs: JobKeeper) -> None:
    @routes.post(
        "/v1/exports/schedules", summary="Schedule exports", operation_id="schedule_exports", status_code=201,
        response_class=Response, responses=_SCHEDULED,
        openapi_extra={"requestBody": documentation.body("NewSchedule", _WANTED)},
    )  # fmt: skip
    async def create(request: Request) -> Response:
        """Each run exports what ended since the one before; runs that were missed are one."""
        return Response(await jobs.schedule(caller_of(request).tenant, await request.body()), 201, media_type=JSON)

    @routes.get(
        "/v1/exports/schedules", summary="List schedules of exports", operation_id="list_export_schedules",
        response_class=Response, responses=_SCHEDULES,
    )  # fmt: skip
    async def listing(request: Request) -> Response:
        """All of the tenant, with the time of each next run."""
        return Response(await jobs.schedules(caller_of(request).tenant.name), media_type=JSON)

    @routes.patch(
        "/v1/exports/schedules/{name}", summary="Pause or resume a schedule", operation_id="pause_export_schedule",
        response_class=Response, responses=_CHANGED,
        openapi_extra={"requestBody": documentation.body("SchedulePause", {"paused": True})},
    )  # fmt: skip
    async def pause(request: Request, name: str) -> Response:
        """What a pause passed by is exported in one run after it."""
        body = await jobs.pause(caller_of(request).tenant.name, name, await request.body())
        return Response(body, media_type=JSON)


def _stopping(routes: APIRouter, jobs: JobKeeper) -> None:
    @routes.delete(
        "/v1/exports/schedules/{name}", summary="Remove a schedule", operation_id="delete_export_schedule",
        status_code=204, response_class=Response, responses=documentation.errors("not_found"),
    )  # fmt: skip
    async def unschedule(request: Request, name: str) -> Response:
        """Exports that it ordered before go on."""
        await jobs.unschedule(caller_of(request).tenant.name, name)
        return Response(status_code=204)

    @routes.delete(
        "/v1/exports/{id}", summary="Cancel an export", operation_id="cancel_export", response_class=Response,
        responses=_CANCELLED,
    )  # fmt: skip
    async def cancel(request: Request, id: str) -> Response:
        """What of its file is in the bucket is removed. One that is over stays as it is."""
        return Response(await jobs.cancel(caller_of(request).tenant.name, id), media_type=JSON)


def _reading(routes: APIRouter, jobs: JobKeeper) -> None:
    @routes.get(
        "/v1/exports", summary="List exports", operation_id="list_exports", response_class=Response,
        responses=_LISTING,
    )  # fmt: skip
    async def listing(
        request: Request, limit: int = Query(50, ge=1, le=200), cursor: str | None = Query(None, max_length=1024)
    ) -> Response:
        """Exports into the bucket, newest first."""
        return Response(await jobs.page(caller_of(request).tenant.name, limit, cursor), media_type=JSON)

    @routes.get(
        "/v1/exports/{id}", summary="Look at an export", operation_id="get_export", response_class=Response,
        responses=_SHOWN,
    )  # fmt: skip
    async def shown(request: Request, id: str) -> Response:
        """How far it is, and a signed URL of its file once that is whole."""
        return Response(await jobs.one(caller_of(request).tenant.name, id), media_type=JSON)
