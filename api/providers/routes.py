"""GET /v1/providers."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON
from api.providers.service import Providers

_PROVIDER = {
    "id": "openai/gpt-4o-mini",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "status": "degraded",
    "since": "2026-01-01T00:00:00.000Z",
    "answers": 9120,
    "failures": 41,
    "p50_ms": 412,
    "workers": 3,
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "`status` is healthy, degraded (it is given one call in five seconds) or unknown (no worker has called it). "
        "`answers` and `failures` count since the workers started, `p50_ms` is of their last answers.",
        {"items": [_PROVIDER], "next_cursor": None, "at": "2026-01-01T00:00:05.000Z"},
    ),
    **documentation.errors(),
}


def router(providers: Providers) -> APIRouter:
    routes = APIRouter(tags=["models"])

    @routes.get(
        "/v1/providers",
        summary="List providers and their health",
        operation_id="list_providers",
        responses=_RESPONSES,
        response_class=Response,
    )
    async def listing() -> Response:
        """How the workers find the models that can be called."""
        return Response(await providers.listing(), media_type=JSON)

    return routes
