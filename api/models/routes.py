"""GET /v1/models."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON

_MODEL = {
    "id": "openai/gpt-4o-mini",
    "provider": "openai",
    "model": "gpt-4o-mini",
    "aliases": ["fast"],
    "context_tokens": 128000,
    "max_output_tokens": 16384,
    "structured_output": "json_schema",
    "takes": ["text", "image_url", "file"],
    "price_usd_per_million_tokens": {"input": "0.15", "output": "0.6", "cached_input": "0.075"},
    "price_version": "2026-11",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "`items` are the models that can be called; `aliases` lists, in order of preference, what a name such as "
        "`fast` stands for.",
        {"items": [_MODEL], "next_cursor": None, "aliases": {"fast": ["openai/gpt-4o-mini"]}},
    ),
    **documentation.errors(),
}


def router(listing: Callable[[], bytes]) -> APIRouter:
    """The catalogue does not change while a process runs, but which of its prices is valid may."""
    routes = APIRouter(tags=["models"])

    @routes.get(
        "/v1/models", summary="List models", operation_id="list_models", responses=_RESPONSES, response_class=Response
    )
    async def models() -> Response:
        """What may stand in `model`."""
        return Response(listing(), media_type=JSON)

    return routes
