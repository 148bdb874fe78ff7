"""POST /v1/exports."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api import documentation
from api.authentication import caller_of
from api.exports.service import Exports
from domain.exports.model import MEDIA_TYPES

_ORDER = {
    "format": "csv", "since": "7d", "template": "sentiment", "status": "completed",
    "fields": ["id", "model", "cost_usd", "completed_at", "output"],
}  # fmt: skip
_ROW = {"id": "order-981", "model": "gpt-4o-mini", "cost_usd": "0.0000094"}
_ROWS: dict[str, Any] = {
    "csv": "id,model,cost_usd\r\norder-981,gpt-4o-mini,0.0000094\r\n",
    "json": [_ROW],
    "jsonl": '{"id":"order-981","model":"gpt-4o-mini","cost_usd":"0.0000094"}\n',
    "parquet": "PAR1…",
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The file, streamed: rows in the order of their ids. A connection that breaks before the end "
        "is an export that is not whole: ask for the rest with `after`.",
        "content": {kind.partition(";")[0]: {"example": _ROWS[name]} for name, kind in MEDIA_TYPES.items()},
    },
    **documentation.errors("invalid_request"),
}


def router(exports: Exports) -> APIRouter:
    routes = APIRouter(tags=["exports"])

    @routes.post(
        "/v1/exports", summary="Export results", operation_id="export_results", responses=_RESPONSES,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("ExportOrder", _ORDER, required=False)},
    )  # fmt: skip
    async def export(request: Request) -> Response:
        """The tenant's results of a time as CSV, JSON, JSON lines or Parquet: the latest run of each request.

        Answers are in it only where the tenant's answers are kept. Money is in US dollars, times are RFC 3339 in UTC.
        """
        file = await exports.file(caller_of(request).tenant.name, await request.body())
        named = {"content-disposition": f'attachment; filename="{file.name}"'}
        return StreamingResponse(file.pieces, headers=named, media_type=file.media_type)

    return routes
