"""GET /v1/dead-letters, /v1/dead-letters/{letter}, and POST to redrive one or many."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.dead_letters.service import DeadLetters
from api.redrive_schemas import Filter

_NAME = "9f86d081884c7d659a2feaa0c55ad015"
_LETTER = {
    "letter": _NAME,
    "tenant": "acme",
    "id": "order-981",
    "run": 1,
    "code": "invalid_output",
    "stage": "infer",
    "reason": "the answer broke its schema three times",
    "topic": "prompt.calls.standard",
    "attempts": 3,
    "size": 412,
    "first_seen": "2026-01-01T00:00:00.421Z",
    "last_seen": "2026-01-01T00:00:00.421Z",
    "redriven": None,
    "links": {
        "self": f"/v1/dead-letters/{_NAME}",
        "redrive": f"/v1/dead-letters/{_NAME}/redrive",
        "job": "/v1/jobs/order-981",
    },
}
_REPORT = {
    "dry_run": True,
    "matched": 12,
    "redriven": 11,
    "skipped": 1,
    "reasons": [{"letter": _NAME, "reason": "it was redriven before as run 2"}],
    "more": False,
    "estimate": {
        "requests": 11,
        "input_tokens": 1130,
        "output_tokens_at_most": 2816,
        "usd_at_least": "0.0001695",
        "usd_at_most": "0.0018591",
    },
    "first_due": "2026-01-01T00:00:00.000Z",
    "last_due": "2026-01-01T00:00:01.000Z",
}
_MANY = {"code": "invalid_output", "since": "24h", "dry_run": True, "edit": {"model": "smart"}}
_ONE = {"edit": {"template": {"name": "sentiment", "version": 2}}}
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("A page, newest first.", {"items": [_LETTER], "next_cursor": None}),
    **documentation.errors("invalid_request", "forbidden"),
}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "The letter with its `message`, as it is on prompt.dead-letters, and its value as `text` where it is text.",
        {**_LETTER, "message": {"value": "eyJpZCI6…"}, "text": '{"id":"order-981", …}'},
    ),
    **documentation.errors("not_found"),
}
_REDRIVEN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("Nothing was started: a dry run, or nothing that could be.", _REPORT),
    202: documentation.answer("Started; each letter's job tells how it goes.", {**_REPORT, "dry_run": False}),
    **documentation.errors("invalid_request", "forbidden", "not_found", "too_large"),
}


def router(letters: DeadLetters) -> APIRouter:
    routes = APIRouter(tags=["dead letters"], dependencies=AS_CALLER)
    _reading(routes, letters)
    _redriving(routes, letters)
    return routes


def _reading(routes: APIRouter, letters: DeadLetters) -> None:
    @routes.get(
        "/v1/dead-letters",
        summary="List dead letters",
        operation_id="list_dead_letters",
        responses=_LISTING,
        response_class=Response,
    )
    async def listing(request: Request, asked: Annotated[Filter, Query()]) -> Response:
        """What failed for good and may be redriven: requests of the tenant, and its records that could not be read.

        With `source`, which is for operators, the records that a source could not map.
        """
        return Response(await letters.page(caller_of(request).tenant.name, asked), media_type=JSON)

    @routes.get(
        "/v1/dead-letters/{letter}",
        summary="Look at a dead letter",
        operation_id="get_dead_letter",
        responses=_SHOWN,
        response_class=Response,
    )
    async def shown(request: Request, letter: str) -> Response:
        """Whole, with the record as it came."""
        return Response(await letters.one(caller_of(request).tenant.name, letter), media_type=JSON)


def _redriving(routes: APIRouter, letters: DeadLetters) -> None:
    @routes.post(
        "/v1/dead-letters/redrive",
        summary="Redrive dead letters",
        operation_id="redrive_dead_letters",
        responses=_REDRIVEN,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("RedriveMany", _MANY)},
    )
    async def redrive(request: Request) -> Response:
        """Starts the next run of each request that failed, and publishes again what never became a request. What a
        source could not map is mapped again as the source is now.

        Runs start at a rate, as jobs that wait for `redrive`. Repeating the call starts nothing twice.
        """
        return _answer(*await letters.redrive(caller_of(request).tenant.name, await request.body()))

    @routes.post(
        "/v1/dead-letters/{letter}/redrive",
        summary="Redrive a dead letter",
        operation_id="redrive_dead_letter",
        responses=_REDRIVEN,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("RedriveOne", _ONE, required=False)},
    )
    async def redrive_one(request: Request, letter: str) -> Response:
        """Starts the next run of its request, or publishes its record again."""
        return _answer(*await letters.redrive_one(caller_of(request).tenant.name, letter, await request.body()))


def _answer(body: bytes, started: bool) -> Response:
    return Response(body, 202 if started else 200, media_type=JSON)
