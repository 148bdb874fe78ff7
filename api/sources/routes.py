"""/v1/sources: what is bound, made and removed, for operators; and events from whoever signs them."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation, spans
from api.acting import AS_CALLER
from api.analyze.outcome import JSON, links
from api.operating import Operators
from api.sources.keeper import SourceKeeper
from api.sources.service import SourceEvents
from api.within import GIVE_UP_AT
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


_NEW = {
    "topic": "crm.tickets",
    "output": "crm.sentiments",
    "request": {"tenant": "acme", "template": {"name": "sentiment"}, "lane": "bulk"},
    "map": {"id": "join('-', ['ticket', to_string(number)])", "template": {"variables": {"text": "body.text"}}},
}
_SOURCE = {
    "name": "tickets",
    "origin": "http",
    "topic": "crm.tickets",
    "bucket": None,
    "format": "json",
    "since": None,
    "output": "crm.sentiments",
    "tenant": "acme",
    "webhook": None,
    "changed_at": "2026-01-01T00:00:00.000Z",
    "definition": _NEW,
    "status": {
        "state": "running", "paused_at": None, "lag": 120, "rows": 981_000, "refused": 3, "errors": 0, "detail": None,
    },
}  # fmt: skip
_STANDS = (
    "`origin` is file or http; `tenant` is null where each event says its own; `definition` is what was put, with null "
    "for each secret. `status` is that of the topic or bucket: running, waiting (`detail` says for what, nothing is "
    "lost), paused or stopped; null where there is only a webhook."
)
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        _STANDS + " `file_error` tells what is wrong with the file since it was changed; what it said before holds.",
        {"items": [_SOURCE], "next_cursor": None, "file_error": None},
    ),
    **documentation.errors("forbidden"),
}  # fmt: skip
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_STANDS, _SOURCE), **documentation.errors("forbidden", "not_found"),
}  # fmt: skip
_PUT: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("It is in the place of the one before.", _SOURCE),
    201: documentation.answer("It is new.", _SOURCE),
    **documentation.errors("forbidden", "invalid_request", "in_use"),
}


def router(keeper: SourceKeeper, events: SourceEvents, operators: Operators, tracing: Tracing) -> APIRouter:
    routes = APIRouter(tags=["sources"], dependencies=AS_CALLER)
    _reading(routes, keeper, operators)
    _changing(routes, keeper, operators)
    _pushing(routes, events, tracing)
    return routes


def _reading(routes: APIRouter, keeper: SourceKeeper, operators: Operators) -> None:
    @routes.get(
        "/v1/sources", summary="List sources", operation_id="list_sources", responses=_LISTING, response_class=Response
    )
    async def listing(request: Request) -> Response:
        """The topics, buckets and webhooks that become requests, and how they are. For operators."""
        operators.check(request)
        return Response(await keeper.listing(), media_type=JSON)

    @routes.get(
        "/v1/sources/{name}", summary="Look at a source", operation_id="get_source", responses=_SHOWN,
        response_class=Response,
    )  # fmt: skip
    async def shown(request: Request, name: str) -> Response:
        """What it reads and how it is doing. For operators."""
        operators.check(request)
        return Response(await keeper.one(name), media_type=JSON)


def _changing(routes: APIRouter, keeper: SourceKeeper, operators: Operators) -> None:
    @routes.put(
        "/v1/sources/{name}", summary="Make or replace a source", operation_id="put_source", responses=_PUT,
        response_class=Response, openapi_extra={"requestBody": documentation.body("NewSource", _NEW)},
    )  # fmt: skip
    async def put(request: Request, name: str) -> Response:
        """By the rules of the file, with secrets themselves in the place of variables. Followed within seconds, without
        a restart. For operators.
        """
        operators.check(request)
        body, is_new = await keeper.put(name, await request.body())
        return Response(body, 201 if is_new else 200, media_type=JSON)

    @routes.delete(
        "/v1/sources/{name}", summary="Remove a source", operation_id="delete_source", status_code=204,
        response_class=Response, responses=documentation.errors("forbidden", "not_found", "in_use"),
    )  # fmt: skip
    async def delete(request: Request, name: str) -> Response:
        """Within seconds nothing more is read, and its secrets are gone. What became a request is answered. For
        operators.
        """
        operators.check(request)
        await keeper.delete(name)
        return Response(status_code=204)


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
        """The event becomes a request, as the operator's source maps it. A repeat is worked on once."""
        traceparent = spans.begin(tracing, request, "/v1/sources/{name}/events")
        head, body = dict(request.headers), await request.body()
        return await service.take(name, head, body, traceparent, request.scope[GIVE_UP_AT])
