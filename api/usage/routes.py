"""GET /v1/usage."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.usage.service import Usage
from domain.usage import DIMENSIONS

_ROW = {
    "model": "gpt-4o-mini",
    "requests": 1200,
    "completed": 1180,
    "failed": 15,
    "rejected": 5,
    "cached": 210,
    "input_tokens": 37200,
    "output_tokens": 9600,
    "cost_usd": "0.01134",
    "p50_ms": 421,
    "p95_ms": 910,
    "p99_ms": 1730,
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: documentation.answer("A row for each group.", {"items": [_ROW], "next_cursor": None}),
    **documentation.errors("invalid_request"),
}


def router(usage: Usage) -> APIRouter:
    routes = APIRouter(tags=["usage"])

    @routes.get(
        "/v1/usage", summary="Usage and cost", operation_id="get_usage", responses=_RESPONSES, response_class=Response
    )
    async def get_usage(
        request: Request,
        by: Annotated[
            str, Query(max_length=200, description=f"Dimensions, separated by commas: {', '.join(DIMENSIONS)}.")
        ] = "model",
        since: Annotated[
            str, Query(max_length=40, description="A span back from now (`90s`, `24h`, `7d`) or an RFC 3339 time.")
        ] = "24h",
    ) -> Response:
        """What the tenant's requests used and cost, a few seconds after they finished. Money is in US dollars."""
        return Response(await usage.rows(caller_of(request).tenant.name, by, since), media_type=JSON)

    return routes
