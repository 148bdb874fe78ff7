"""/v1/webhooks: where the tenant is told of what happens, and what was sent there."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.webhooks.service import WebhookKeeper

_ENDPOINT = {
    "id": "wh_0197a3c05d3e7cc1b0a73f6f3d2f5f11",
    "url": "https://hooks.example/structured-prompt",
    "events": ["request.completed", "request.failed"],
    "events_not_sent_yet": [],
    "fields": None,
    "description": "orders",
    "enabled": True,
    "disabled_reason": None,
    "failing_since": None,
    "old_secret_until": None,
    "created_at": "2026-01-01T00:00:00.000Z",
}
_LINKS = {
    "self": "/v1/webhooks/wh_0197a3c0/deliveries/msg_4f0c",
    "retry": "/v1/webhooks/wh_0197a3c0/deliveries/msg_4f0c/retry",
}
_DELIVERY = {
    "id": "msg_4f0c9d1a8e7b6c5d4e3f2a1b0c9d8e7f",
    "type": "request.completed",
    "status": "pending",
    "timestamp": "2026-01-01T00:00:00.421Z",
    "created_at": "2026-01-01T00:00:00.600Z",
    "next_attempt_at": "2026-01-01T00:00:05.900Z",
    "attempts": [{
        "at": "2026-01-01T00:00:00.640Z", "outcome": "failed", "duration_ms": 31, "status": 503, "error": None,
        "request_headers": "content-type: application/json\nwebhook-id: msg_4f0c…",
        "response_head": "503 Service Unavailable\ncontent-length: 0",
    }],
    "links": _LINKS,
}  # fmt: skip
_FIELDS = {name: _ENDPOINT[name] for name in ("url", "events", "description")}
_SECRET = {**_ENDPOINT, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("The endpoint.", _ENDPOINT), **documentation.errors("not_found", "invalid_request"),
}  # fmt: skip
_CREATED: dict[int | str, dict[str, Any]] = {
    201: documentation.answer("The endpoint; its secret is shown here and never again.", _SECRET),
    **documentation.errors("invalid_request"),
}
_LISTED: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("Newest first.", {"items": [_ENDPOINT], "next_cursor": None}),
    **documentation.errors("invalid_request"),
}
LOG: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("Newest first.", {"items": [_DELIVERY], "next_cursor": None}),
    **documentation.errors("not_found", "invalid_request"),
}
_ROTATED: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("With the new secret.", _SECRET), **documentation.errors("not_found"),
}  # fmt: skip
_QUEUED: dict[int | str, dict[str, Any]] = {
    202: documentation.answer("It is in the queue.", {"delivery_id": _DELIVERY["id"], "links": _LINKS}),
    **documentation.errors("not_found", "invalid_request"),
}
ONE: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("With its body and every attempt.", {**_DELIVERY, "body": {"type": "…"}}),
    **documentation.errors("not_found"),
}
Limit = Annotated[int, Query(ge=1, le=100)]


def router(webhooks: WebhookKeeper) -> APIRouter:
    routes = APIRouter(tags=["webhooks"], dependencies=AS_CALLER)
    _making(routes, webhooks)
    _callbacks(routes, webhooks)
    _reading(routes, webhooks)
    _changing(routes, webhooks)
    _logging(routes, webhooks)
    _sending(routes, webhooks)
    return routes


def _making(routes: APIRouter, webhooks: WebhookKeeper) -> None:
    @routes.post(
        "/v1/webhooks", summary="Make a webhook", operation_id="create_webhook", responses=_CREATED, status_code=201,
        response_class=Response, openapi_extra={"requestBody": documentation.body("NewWebhook", _FIELDS)},
    )  # fmt: skip
    async def create(request: Request) -> Response:
        """Every event after the answer is sent to it, signed with the secret (Standard Webhooks 1.0)."""
        body = await webhooks.create(caller_of(request).tenant.name, await request.body())
        return Response(body, 201, media_type=JSON)

    @routes.get(
        "/v1/webhooks", summary="List webhooks", operation_id="list_webhooks", responses=_LISTED,
        response_class=Response,
    )  # fmt: skip
    async def listing(request: Request, limit: Limit = 50, cursor: str | None = None) -> Response:
        """The tenant's endpoints."""
        return Response(await webhooks.page(caller_of(request).tenant.name, limit, cursor), media_type=JSON)


def _callbacks(routes: APIRouter, webhooks: WebhookKeeper) -> None:
    @routes.get(
        "/v1/webhooks/callback-secret", summary="Show the secret of callbacks", operation_id="get_callback_secret",
        response_class=Response,
        responses={
            200: documentation.answer("The secret.", {"secret": _SECRET["secret"]}), **documentation.errors(),
        },
    )  # fmt: skip
    async def callback_secret(request: Request) -> Response:
        """What deliveries to a request's `callback_url` are signed with: one secret for all of the tenant's."""
        return Response(webhooks.callback_secret(caller_of(request).tenant.name), media_type=JSON)


def _reading(routes: APIRouter, webhooks: WebhookKeeper) -> None:
    @routes.get(
        "/v1/webhooks/{id}", summary="Look at a webhook", operation_id="get_webhook", responses=_SHOWN,
        response_class=Response,
    )  # fmt: skip
    async def shown(request: Request, id: str) -> Response:
        """Whether it is enabled, and since when it fails."""
        return Response(await webhooks.one(caller_of(request).tenant.name, id), media_type=JSON)

    @routes.delete(
        "/v1/webhooks/{id}", summary="Remove a webhook", operation_id="delete_webhook", status_code=204,
        response_class=Response, responses=documentation.errors("not_found"),
    )  # fmt: skip
    async def delete(request: Request, id: str) -> Response:
        """What waits for it is not sent any more."""
        await webhooks.delete(caller_of(request).tenant.name, id)
        return Response(status_code=204)


def _changing(routes: APIRouter, webhooks: WebhookKeeper) -> None:
    @routes.patch(
        "/v1/webhooks/{id}", summary="Change a webhook", operation_id="change_webhook", responses=_SHOWN,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("WebhookChange", {"enabled": True})},
    )  # fmt: skip
    async def change(request: Request, id: str) -> Response:
        """A new URL also holds for what waits. Whoever was disabled is enabled with `enabled: true`."""
        body = await webhooks.change(caller_of(request).tenant.name, id, await request.body())
        return Response(body, media_type=JSON)

    @routes.post(
        "/v1/webhooks/{id}/rotate", summary="Give a webhook a new secret", operation_id="rotate_webhook",
        responses=_ROTATED, response_class=Response,
    )  # fmt: skip
    async def rotate(request: Request, id: str) -> Response:
        """For 24 hours each delivery carries two signatures, of the new secret and of the one before."""
        return Response(await webhooks.rotate(caller_of(request).tenant.name, id), media_type=JSON)


def _logging(routes: APIRouter, webhooks: WebhookKeeper) -> None:
    @routes.get(
        "/v1/webhooks/{id}/deliveries", summary="List deliveries", operation_id="list_deliveries", responses=LOG,
        response_class=Response,
    )  # fmt: skip
    async def log(request: Request, id: str, limit: Limit = 50, cursor: str | None = None) -> Response:
        """What was sent or waits, each with its last attempt."""
        return Response(await webhooks.log(caller_of(request).tenant.name, id, limit, cursor), media_type=JSON)

    @routes.get(
        "/v1/webhooks/{id}/deliveries/{delivery}", summary="Look at a delivery", operation_id="get_delivery",
        responses=ONE, response_class=Response,
    )  # fmt: skip
    async def one(request: Request, id: str, delivery: str) -> Response:
        """Request, answer and timing of every attempt."""
        return Response(await webhooks.delivery(caller_of(request).tenant.name, id, delivery), media_type=JSON)


def _sending(routes: APIRouter, webhooks: WebhookKeeper) -> None:
    @routes.post(
        "/v1/webhooks/{id}/deliveries/{delivery}/retry", summary="Send a delivery again",
        operation_id="retry_delivery", responses=_QUEUED, status_code=202, response_class=Response,
    )  # fmt: skip
    async def retry(request: Request, id: str, delivery: str) -> Response:
        """At once, under the same webhook-id, and with the whole schedule where it fails."""
        body = await webhooks.retry(caller_of(request).tenant.name, id, delivery)
        return Response(body, 202, media_type=JSON)

    @routes.post(
        "/v1/webhooks/{id}/test", summary="Send a test event", operation_id="test_webhook", responses=_QUEUED,
        status_code=202, response_class=Response,
    )  # fmt: skip
    async def test(request: Request, id: str) -> Response:
        """`webhook.test`, whatever the endpoint subscribes to."""
        return Response(await webhooks.test(caller_of(request).tenant.name, id), 202, media_type=JSON)
