"""/healthz, /readyz, /metrics and the documents. Public: they name no tenant and no address."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from api.analyze.outcome import JSON
from api.health.service import Readiness
from domain.health import summary

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"
_READY = {"ok": True, "ready": True, "checks": {"kafka": {"ok": True, "detail": ""}}}


def _answer(description: str, example: Any, media_type: str = JSON) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": description, "content": {media_type: {"example": example}}}}


def router(readiness: Readiness, exposition: Callable[[], bytes]) -> APIRouter:
    routes = APIRouter(tags=["operations"])
    document = files("topics").joinpath("schemas", "asyncapi.json").read_bytes()

    @routes.get(
        "/healthz", summary="Liveness", responses=_answer("The process turns.", {"ok": True}), response_class=Response
    )
    async def healthz() -> Response:
        """Whether this process runs; a dead dependency is no reason to restart it."""
        return Response(b'{"ok":true}', media_type=JSON)

    @routes.get(
        "/readyz",
        summary="Readiness",
        responses={**_answer("Ready.", _READY), 503: {"description": "Not ready: `checks` says why."}},
        response_class=Response,
    )
    async def readyz() -> Response:
        """Whether it can take requests, with each dependency."""
        health = await readiness.health()
        return Response(orjson.dumps(summary(health)), 200 if health.ready else 503, media_type=JSON)

    @routes.get(
        "/metrics",
        summary="Metrics",
        responses=_answer("Prometheus text format.", "structured_prompt_http_waiters 0.0", EXPOSITION),
        response_class=Response,
    )
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(exposition(), headers={"content-type": EXPOSITION})

    @routes.get(
        "/asyncapi.json",
        summary="AsyncAPI document",
        responses=_answer("AsyncAPI 3: the topics and their messages.", {"asyncapi": "3.0.0"}),
        response_class=Response,
    )
    async def asyncapi() -> Response:
        """The other door: what to publish to Kafka, and what comes out."""
        return Response(document, media_type=JSON)

    return routes
