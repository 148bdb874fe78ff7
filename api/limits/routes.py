"""GET /v1/limits."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.authentication import caller_of
from api.limits.service import LimitReader

_RATE = {
    "name": "tenant", "unit": "requests", "per_minute": 600, "burst": 100, "remaining": 97, "reset_s": 0.3,
}  # fmt: skip
_PLACES = {"name": "tenant-flights", "unit": "concurrent_requests", "places": 50, "in_flight": 3, "remaining": 47}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "A row a limit of the tenant and of the key that asks. `remaining` may pass at once; all of the burst is back "
        "in `reset_s` seconds. A limit of calls in flight has `places` instead of a rate.",
        {"items": [_RATE, _PLACES], "next_cursor": None, "plan": None},
    ),
    **documentation.errors(),
}


def router(limits: LimitReader) -> APIRouter:
    routes = APIRouter(tags=["limits"])

    @routes.get(
        "/v1/limits", summary="Look at the limits", operation_id="list_limits", responses=_RESPONSES,
        response_class=Response,
    )  # fmt: skip
    async def listing(request: Request) -> Response:
        """What limits the caller's requests, and what is left of it now."""
        return Response(await limits.page(caller_of(request)), media_type="application/json")

    return routes
