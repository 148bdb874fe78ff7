"""GET /v1/audit: who changed what may be done, or where things go. There is no route that writes here."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.analyze.outcome import JSON
from api.audit.service import AuditReader
from api.audit_schemas import AuditFilter
from api.authentication import caller_of
from api.operating import Operators

_ROW = {
    "id": "aud_0197a3c05d3e7cc1b0a73f6f3d2f5f11",
    "at": "2026-01-01T00:00:00.000Z",
    "tenant": "acme",
    "actor": {"kind": "key", "key_id": "key_93ac0f1b22d4e677"},
    "action": "budget.put",
    "object": {"type": "budget", "id": "support"},
    "before": {"limit_usd": "250", "period": "month", "api_key_id": None, "template": None, "model": None},
    "after": {"limit_usd": "400", "period": "month", "api_key_id": None, "template": None, "model": None},
    "request_id": "0197a3c0-5d3e-7cc1-b0a7-3f6f3d2f5f11",
    "address": "203.0.113.7",
}
_SAID = (
    "Newest first. `before` and `after` are without secrets; null where the object did not exist. What an operator "
    "did says so, and not with which key or from where."
)
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_SAID, {"items": [_ROW], "next_cursor": None}),
    **documentation.errors("invalid_request", "forbidden"),
}


def router(audit: AuditReader, operators: Operators) -> APIRouter:
    routes = APIRouter(tags=["audit"])

    @routes.get(
        "/v1/audit", summary="List changes", operation_id="list_audit", responses=_LISTING, response_class=Response
    )
    async def listing(request: Request, asked: Annotated[AuditFilter, Query()]) -> Response:
        """Who changed keys, limits, budgets, destinations, exports, schemas and the rest of the tenant, and what."""
        tenant = caller_of(request).tenant.name
        if asked.tenant not in (None, tenant):
            operators.check(request)
        body = await audit.page(tenant, asked, operates=operators.include(tenant))
        return Response(body, media_type=JSON)

    return routes
