"""GET /v1/jobs, GET and DELETE /v1/jobs/{id}, and GET /v1/jobs/{id}/result."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON, links
from api.authentication import caller_of
from api.jobs.cancelling import Canceller
from api.jobs.service import JobReader

_JOB = {
    "id": "order-981",
    "status": "running",
    "run": 1,
    "created_at": "2026-01-01T00:00:00.000Z",
    "updated_at": "2026-01-01T00:00:00.004Z",
    "waiting": None,
    "error": None,
    "usage": None,
    "repeated": 0,
    "links": links("order-981"),
}
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("A page, newest first.", {"items": [_JOB], "next_cursor": None}),
    **documentation.errors("invalid_request"),
}
_ONE: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "`status`: accepted, waiting, running, completed, failed, rejected or cancelled. `waiting` is null, or the "
        "reason of the wait (rate_limit, retry, redrive …) and its end. "
        "`error` and `usage` are those of the result; `repeated` counts calls made though nobody had heard of the "
        "outcome of the one before.",
        _JOB,
    ),
    **documentation.errors("not_found"),
}
_RESULT: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("The final result, whatever its `status`.", documentation.RESULT_EXAMPLE, "PromptResult"),
    **documentation.errors("not_found", "not_finished", "expired"),
}


_CANCELLED: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "The job is cancelled, now or by an earlier request.",
        {**_JOB, "status": "cancelled", "error": {"code": "cancelled"}},
        sends=("Location",),
    ),
    202: documentation.answer(
        "Its end is asked for; `GET /v1/jobs/{id}` tells how it ends.", _JOB, sends=("Location",)
    ),
    **documentation.errors("not_found", "finished"),
}


def router(jobs: JobReader, canceller: Canceller) -> APIRouter:
    routes = APIRouter(tags=["jobs"])

    @routes.get("/v1/jobs", summary="List jobs", operation_id="list_jobs", responses=_LISTING, response_class=Response)
    async def listing(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=200, description="Rows of a page.")] = 50,
        cursor: Annotated[str | None, Query(max_length=1024, description="`next_cursor` of the page before.")] = None,
    ) -> Response:
        """The tenant's jobs, newest first."""
        return Response(await jobs.page(caller_of(request).tenant.name, limit, cursor), media_type=JSON)

    @routes.get(
        "/v1/jobs/{id}", summary="Look at a job", operation_id="get_job", responses=_ONE, response_class=Response
    )
    async def job(request: Request, id: str) -> Response:
        """Where a request is, whichever way it came."""
        return Response(await jobs.one(caller_of(request).tenant.name, id), media_type=JSON)

    @routes.delete(
        "/v1/jobs/{id}",
        summary="Cancel a job",
        operation_id="cancel_job",
        responses=_CANCELLED,
        response_class=Response,
    )
    async def cancel(request: Request, id: str) -> Response:
        """Before its call it is rejected as `cancelled` and nothing is called; a running call is left, and billed.

        A job that is finished stays as it is (409). Cancelling twice is cancelling once.
        """
        return await canceller.cancel(caller_of(request).tenant.name, id)

    @routes.get(
        "/v1/jobs/{id}/result",
        summary="Get the result of a job",
        operation_id="get_job_result",
        responses=_RESULT,
        response_class=Response,
    )
    async def result(request: Request, id: str) -> Response:
        """The stored PromptResult of the latest run."""
        return Response(await jobs.result(caller_of(request).tenant.name, id), media_type=JSON)

    return routes
