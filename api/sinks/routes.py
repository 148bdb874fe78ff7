"""/v1/sinks: how the operator's sinks are, and pausing, resuming and replaying them. For operators."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.operating import Operators
from api.sinks.service import Sinks

_SINK = {
    "name": "clickhouse",
    "state": "running",
    "paused_at": None,
    "lag": 120,
    "rows": 981_000,
    "refused": 0,
    "errors": 0,
    "oldest_at": "2026-01-01T00:00:00.000Z",
    "detail": None,
    "replay": {"number": 1, "since": "2026-01-01T00:00:00.000Z", "offsets": {}, "followed": ["prompt.results/0"]},
    "processes": [{"name": "sink-1", "state": "running", "lag": 120, "seen_at": "2026-01-01T00:00:01.000Z"}],
}
_STANDS = (
    "`state` is running, waiting (its destination does not answer; `detail` says why, nothing is lost), paused or "
    "stopped (no process was heard of for 30 s). `lag` is in records, `oldest_at` the log time of the oldest one "
    "that is in hand."
)
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_STANDS, {"items": [_SINK], "next_cursor": None}),
    **documentation.errors("forbidden"),
}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_STANDS, _SINK),
    **documentation.errors("forbidden", "not_found"),
}
_REPLAYED: dict[int | str, dict[str, Any]] = {
    202: documentation.answer("Asked for. `replay.followed` tells which partitions have begun again.", _SINK),
    **documentation.errors("forbidden", "not_found", "invalid_request"),
}


def router(sinks: Sinks, operators: Operators) -> APIRouter:
    routes = APIRouter(tags=["sinks"], dependencies=AS_CALLER)
    _reading(routes, sinks, operators)
    _ordering(routes, sinks, operators)
    return routes


def _reading(routes: APIRouter, sinks: Sinks, operators: Operators) -> None:
    @routes.get(
        "/v1/sinks", summary="List sinks", operation_id="list_sinks", responses=_LISTING, response_class=Response
    )
    async def listing(request: Request) -> Response:
        """The destinations that the operator has set up for everything that leaves the line. For operators."""
        operators.check(request)
        return Response(await sinks.page(), media_type=JSON)

    @routes.get(
        "/v1/sinks/{name}", summary="Look at a sink", operation_id="get_sink", responses=_SHOWN, response_class=Response
    )
    async def shown(request: Request, name: str) -> Response:
        """How it is doing. For operators."""
        operators.check(request)
        return Response(await sinks.one(name), media_type=JSON)


def _ordering(routes: APIRouter, sinks: Sinks, operators: Operators) -> None:
    @routes.post(
        "/v1/sinks/{name}/pause", summary="Pause a sink", operation_id="pause_sink", responses=_SHOWN,
        response_class=Response,
    )  # fmt: skip
    async def pause(request: Request, name: str) -> Response:
        """It ends the batch in hand and carries nothing until it is resumed, also after a restart. For operators."""
        operators.check(request)
        return Response(await sinks.pause(name, True), media_type=JSON)

    @routes.post(
        "/v1/sinks/{name}/resume", summary="Resume a sink", operation_id="resume_sink", responses=_SHOWN,
        response_class=Response,
    )  # fmt: skip
    async def resume(request: Request, name: str) -> Response:
        """It goes on where it was paused. For operators."""
        operators.check(request)
        return Response(await sinks.pause(name, False), media_type=JSON)

    @routes.post(
        "/v1/sinks/{name}/replay", summary="Replay into a sink", operation_id="replay_sink", responses=_REPLAYED,
        status_code=202, response_class=Response,
        openapi_extra={"requestBody": documentation.body("SinkReplay", {"since": "24h"})},
    )  # fmt: skip
    async def replay(request: Request, name: str) -> Response:
        """Carry again what is still on the topics, from a time or from offsets on.

        What is at the destination already is written again, which changes nothing. For operators.
        """
        operators.check(request)
        return Response(await sinks.replay(name, await request.body()), 202, media_type=JSON)
