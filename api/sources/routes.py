"""/v1/sources: what is bound, for operators; and events from whoever signs them."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation, spans
from api.analyze.outcome import JSON, links
from api.middleware import GIVE_UP_AT
from api.operating import Operators
from api.sources.service import SourceEvents
from domain.tracing import Tracing

_ACCEPTED = {
    "id": "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
    "status": "accepted",
    "links": links("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"),
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: documentation.answer("Accepted; it is visible as a job of the source's tenant.", _ACCEPTED),
    **documentation.errors(
        "not_found", "forbidden", "invalid_request", "unknown_template", "unknown_model", "id_conflict", "too_large"
    ),
}
_HEADERS = [
    documentation.header(
        "webhook-id", "Names the event; its id where the source maps none.", "msg_2KWPBgLlAfxdpx2AI54pPJ85f4W"
    ),
    documentation.header("webhook-timestamp", "Seconds since 1970, within five minutes of now.", "1767225600"),
    documentation.header(
        "webhook-signature",
        "`v1,` and the HMAC-SHA256 in base64, as Standard Webhooks 1.0 has it.",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
]


_SOURCE = {
    "name": "tickets",
    "topic": "crm.tickets",
    "bucket": None,
    "format": "json",
    "since": "2026-01-01T00:00:00.000Z",
    "output": "crm.sentiments",
    "tenant": "acme",
    "webhook": None,
}
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "As the file says it. `tenant` is null where each event says its own; how a topic's reader is doing stands in "
        "`/v1/sinks/source-NAME`.",
        {"items": [_SOURCE], "next_cursor": None},
    ),
    **documentation.errors("forbidden"),
}


def router(service: SourceEvents, operators: Operators, tracing: Tracing) -> APIRouter:
    routes = APIRouter(tags=["sources"])

    @routes.get(
        "/v1/sources", summary="List sources", operation_id="list_sources", responses=_LISTING, response_class=Response
    )
    async def listing(request: Request) -> Response:
        """The topics and webhooks that become requests. For operators."""
        operators.check(request)
        return Response(service.listing(), media_type=JSON)

    _pushing(routes, service, tracing)
    return routes


def _pushing(routes: APIRouter, service: SourceEvents, tracing: Tracing) -> None:
    """Whoever has the source's secret needs no API key."""

    @routes.post(
        "/v1/sources/{name}/events",
        summary="Push an event of a source",
        operation_id="push_event",
        status_code=202,
        responses=_RESPONSES,
        response_class=Response,
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {}, "example": {"number": 4711}}},
            },
            "parameters": _HEADERS,
        },
    )
    async def push_event(name: str, request: Request) -> Response:
        """The event becomes a request, as the operator's file of sources maps it. A repeat is worked on once."""
        traceparent = spans.begin(tracing, request, "/v1/sources/{name}/events")
        head, body = dict(request.headers), await request.body()
        return await service.take(name, head, body, traceparent, request.scope[GIVE_UP_AT])
