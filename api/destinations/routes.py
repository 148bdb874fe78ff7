"""/v1/destinations: where a tenant's results and events go, how each of them is, and what is to be done."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.destinations import hooks
from api.destinations.service import DestinationKeeper
from api.webhooks.routes import LOG, ONE

_BUCKET = {
    "name": "acme-answers", "region": "eu-central-1", "endpoint": None, "prefix": "structured-prompt",
    "access_key_id": "the-key-id", "every_seconds": 60,
}  # fmt: skip
_DESTINATION = {
    "id": "s3_0197a3c05d3e7cc1b0a73f6f3d2f5f11",
    "kind": "s3",
    "url": "s3://acme-answers/structured-prompt",
    "bucket": _BUCKET,
    "events": ["request.completed"],
    "events_not_sent_yet": [],
    "fields": ["output", "usage"],
    "redact": ["email"],
    "description": "the data lake",
    "state": "failing",
    "disabled_reason": None,
    "failing_since": "2026-01-01T00:00:00.000Z",
    "last_success_at": "2025-12-31T23:59:00.000Z",
    "last_error": {
        "at": "2026-01-01T00:00:00.000Z", "status": 404,
        "what": "it answered 404 NoSuchBucket: The specified bucket does not exist",
        "remedy": "create the bucket, or PATCH the destination with another one",
    },
    "waiting": 120,
    "oldest_waiting_since": "2026-01-01T00:00:00.000Z",
    "given_up": 0,
    "created_at": "2025-12-01T00:00:00.000Z",
}  # fmt: skip
_NEW = {
    "kind": "s3", "events": ["request.completed"], "fields": ["output", "usage"],
    "bucket": {**_BUCKET, "secret_access_key": "its-secret"},
}  # fmt: skip
_STANDS = (
    "`state` is new, working, failing (nothing is lost: it waits), paused or disabled. `last_error` says what happened "
    "and what to do."
)
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_STANDS, _DESTINATION), **documentation.errors("not_found", "invalid_request"),
}  # fmt: skip
_CREATED: dict[int | str, dict[str, Any]] = {
    201: documentation.answer("A webhook's secret is shown here and never again.", _DESTINATION),
    **documentation.errors("invalid_request"),
}
_LISTED: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("Newest first.", {"items": [_DESTINATION], "next_cursor": None}),
    **documentation.errors("invalid_request"),
}
_LINKS = {"self": "/v1/destinations/s3_0197a3c0/deliveries/msg_4f0c",
          "retry": "/v1/destinations/s3_0197a3c0/deliveries/msg_4f0c/retry"}  # fmt: skip
_QUEUED: dict[int | str, dict[str, Any]] = {
    202: documentation.answer("It is in the queue.", {"delivery_id": "msg_4f0c", "links": _LINKS}),
    **documentation.errors("not_found", "invalid_request"),
}
_REDELIVERED: dict[int | str, dict[str, Any]] = {
    202: documentation.answer("How many are due now; `more`: ask again for the rest.", {"queued": 120, "more": False}),
    **documentation.errors("not_found", "invalid_request"),
}
Limit = Annotated[int, Query(ge=1, le=100)]


def router(destinations: DestinationKeeper) -> APIRouter:
    routes = APIRouter(tags=["destinations"], dependencies=AS_CALLER)
    hooks.add(routes, destinations)
    _making(routes, destinations)
    _one(routes, destinations)
    _ordering(routes, destinations)
    _sending(routes, destinations)
    _logging(routes, destinations)
    return routes


def _making(routes: APIRouter, destinations: DestinationKeeper) -> None:
    @routes.post(
        "/v1/destinations", summary="Make a destination", operation_id="create_destination", responses=_CREATED,
        status_code=201, response_class=Response,
        openapi_extra={"requestBody": documentation.body("NewDestination", _NEW)},
    )  # fmt: skip
    async def create(request: Request) -> Response:
        """Every event after the answer goes there: to a URL, or as objects into a bucket. Without a restart."""
        body = await destinations.create(caller_of(request).tenant.name, await request.body())
        return Response(body, 201, media_type=JSON)

    @routes.get(
        "/v1/destinations", summary="List destinations", operation_id="list_destinations", responses=_LISTED,
        response_class=Response,
    )  # fmt: skip
    async def listing(request: Request, limit: Limit = 50, cursor: str | None = None) -> Response:
        """All of the tenant's, webhooks included. Here `waiting` is counted up to 1,000."""
        return Response(await destinations.page(caller_of(request).tenant.name, limit, cursor), media_type=JSON)


def _one(routes: APIRouter, destinations: DestinationKeeper) -> None:
    @routes.get(
        "/v1/destinations/{id}", summary="Look at a destination", operation_id="get_destination", responses=_SHOWN,
        response_class=Response,
    )  # fmt: skip
    async def shown(request: Request, id: str) -> Response:
        """How it is, what waits for it, and what to do where it is not well."""
        return Response(await destinations.one(caller_of(request).tenant.name, id), media_type=JSON)

    @routes.patch(
        "/v1/destinations/{id}", summary="Change a destination", operation_id="change_destination", responses=_SHOWN,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("DestinationChange", {"enabled": True})},
    )  # fmt: skip
    async def change(request: Request, id: str) -> Response:
        """Holds for what waits as well. `fields` holds for what comes."""
        body = await destinations.change(caller_of(request).tenant.name, id, await request.body())
        return Response(body, media_type=JSON)

    @routes.delete(
        "/v1/destinations/{id}", summary="Remove a destination", operation_id="delete_destination", status_code=204,
        response_class=Response, responses=documentation.errors("not_found"),
    )  # fmt: skip
    async def delete(request: Request, id: str) -> Response:
        """What waits for it is not sent any more, and its credentials are gone."""
        await destinations.delete(caller_of(request).tenant.name, id)
        return Response(status_code=204)


def _ordering(routes: APIRouter, destinations: DestinationKeeper) -> None:
    @routes.post(
        "/v1/destinations/{id}/pause", summary="Pause a destination", operation_id="pause_destination",
        responses=_SHOWN, response_class=Response,
    )  # fmt: skip
    async def pause(request: Request, id: str) -> Response:
        """What happens is queued for it, and nothing is sent until it is resumed."""
        return Response(await destinations.pause(caller_of(request).tenant.name, id, True), media_type=JSON)

    @routes.post(
        "/v1/destinations/{id}/resume", summary="Resume a destination", operation_id="resume_destination",
        responses=_SHOWN, response_class=Response,
    )  # fmt: skip
    async def resume(request: Request, id: str) -> Response:
        """What waits is sent."""
        return Response(await destinations.pause(caller_of(request).tenant.name, id, False), media_type=JSON)


def _sending(routes: APIRouter, destinations: DestinationKeeper) -> None:
    @routes.post(
        "/v1/destinations/{id}/test", summary="Send a test event to a destination",
        operation_id="test_destination", responses=_QUEUED, status_code=202, response_class=Response,
    )  # fmt: skip
    async def test(request: Request, id: str) -> Response:
        """`webhook.test`, whatever it subscribes to; into a bucket at once, as an object of its own."""
        body = await destinations.log.test(caller_of(request).tenant.name, id)
        return Response(body, 202, media_type=JSON)

    @routes.post(
        "/v1/destinations/{id}/redeliver", summary="Send again what failed", operation_id="redeliver",
        responses=_REDELIVERED, status_code=202, response_class=Response,
        openapi_extra={"requestBody": documentation.body("Redelivery", {"since": "24h"})},
    )  # fmt: skip
    async def redeliver(request: Request, id: str) -> Response:
        """What waits for a later attempt, and what was queued since then and has failed or was given up."""
        body = await destinations.redeliver(caller_of(request).tenant.name, id, await request.body())
        return Response(body, 202, media_type=JSON)


def _logging(routes: APIRouter, destinations: DestinationKeeper) -> None:
    @routes.get(
        "/v1/destinations/{id}/deliveries", summary="List a destination's deliveries",
        operation_id="list_destination_deliveries", responses=LOG, response_class=Response,
    )  # fmt: skip
    async def log(request: Request, id: str, limit: Limit = 50, cursor: str | None = None) -> Response:
        """What was sent or waits, each with its last attempt."""
        return Response(await destinations.log.log(caller_of(request).tenant.name, id, limit, cursor), media_type=JSON)

    @routes.get(
        "/v1/destinations/{id}/deliveries/{delivery}", summary="Look at a destination's delivery",
        operation_id="get_destination_delivery", responses=ONE, response_class=Response,
    )  # fmt: skip
    async def one(request: Request, id: str, delivery: str) -> Response:
        """Request, answer and timing of every attempt."""
        body = await destinations.log.delivery(caller_of(request).tenant.name, id, delivery)
        return Response(body, media_type=JSON)

    @routes.post(
        "/v1/destinations/{id}/deliveries/{delivery}/retry", summary="Send one delivery again",
        operation_id="retry_destination_delivery", responses=_QUEUED, status_code=202, response_class=Response,
    )  # fmt: skip
    async def retry(request: Request, id: str, delivery: str) -> Response:
        """At once, and with the whole schedule where it fails."""
        body = await destinations.log.retry(caller_of(request).tenant.name, id, delivery)
        return Response(body, 202, media_type=JSON)
