"""GET /v1/queues."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.queues.service import QueueReader

_DUE = "2026-01-01T00:00:03.500Z"
_QUEUE = {
    "lane": "standard",
    "accepted": 12,
    "running": 40,
    "waiting": 7,
    "reasons": [{"reason": "rate_limit", "waiting": 7, "next_due": _DUE}],
    "next_due": _DUE,
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "A row a lane. `accepted`: handed on, no worker has begun; `running`: in a worker's hands; `waiting`: by "
        "reason, with when the first is due. `complete` is false where there are more than were counted. What the "
        "service has not read from Kafka yet is not in it.",
        {"items": [_QUEUE], "next_cursor": None, "complete": True},
    ),
    **documentation.errors(),
}


def router(queues: QueueReader) -> APIRouter:
    routes = APIRouter(tags=["queues"])

    @routes.get(
        "/v1/queues", summary="Look at the queues", operation_id="list_queues", responses=_RESPONSES,
        response_class=Response,
    )  # fmt: skip
    async def listing(request: Request) -> Response:
        """How much of the tenant's work is unfinished, what it waits for, and until when."""
        return Response(await queues.page(caller_of(request).tenant.name), media_type=JSON)

    return routes
