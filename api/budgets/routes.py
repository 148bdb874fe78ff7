"""/v1/budgets: how much the tenant may spend, what it has spent, and what is left."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.budgets.service import BudgetKeeper

_BUDGET = {
    "name": "support",
    "limit_usd": "250",
    "period": "month",
    "api_key_id": None,
    "template": None,
    "model": "openai/*",
    "period_start": "2026-01-01T00:00:00.000Z",
    "period_end": "2026-02-01T00:00:00.000Z",
    "spent_usd": "102.418",
    "reserved_usd": "0.0124",
    "remaining_usd": "147.5696",
    "created_at": "2026-01-01T00:00:00.000Z",
}
_FIELDS = {"limit_usd": "250", "period": "month", "model": "openai/*"}
_STANDS = "`reserved_usd` is held by calls under way, and by those whose cost nobody knows. As of a second ago."
_SHOWN = documentation.answer(_STANDS, _BUDGET)
_LISTING: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_STANDS, {"items": [_BUDGET], "next_cursor": None}),
    **documentation.errors(),
}
_CREATED: dict[int | str, dict[str, Any]] = {201: _SHOWN, **documentation.errors("invalid_request", "exists")}
_PUT: dict[int | str, dict[str, Any]] = {200: _SHOWN, 201: _SHOWN, **documentation.errors("invalid_request")}


def router(budgets: BudgetKeeper) -> APIRouter:
    routes = APIRouter(tags=["budgets"], dependencies=AS_CALLER)
    _reading(routes, budgets)
    _writing(routes, budgets)
    return routes


def _reading(routes: APIRouter, budgets: BudgetKeeper) -> None:
    @routes.get(
        "/v1/budgets", summary="List budgets", operation_id="list_budgets", responses=_LISTING, response_class=Response
    )
    async def listing(request: Request) -> Response:
        """The tenant's budgets by name, as they stand in the present period."""
        return Response(await budgets.page(caller_of(request).tenant.name), media_type=JSON)

    @routes.get(
        "/v1/budgets/{name}", summary="Look at a budget", operation_id="get_budget", response_class=Response,
        responses={200: _SHOWN, **documentation.errors("not_found")},
    )  # fmt: skip
    async def shown(request: Request, name: str) -> Response:
        """As it stands in the present period."""
        return Response(await budgets.one(caller_of(request).tenant.name, name), media_type=JSON)


def _writing(routes: APIRouter, budgets: BudgetKeeper) -> None:
    @routes.post(
        "/v1/budgets", summary="Make a budget", operation_id="create_budget", responses=_CREATED, status_code=201,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("NewBudget", {"name": "support", **_FIELDS})},
    )  # fmt: skip
    async def create(request: Request) -> Response:
        """It holds for every call that begins after the answer. What was spent before is not counted."""
        body = await budgets.create(caller_of(request).tenant.name, await request.body())
        return Response(body, 201, media_type=JSON)

    @routes.put(
        "/v1/budgets/{name}", summary="Make or change a budget", operation_id="put_budget", responses=_PUT,
        response_class=Response, openapi_extra={"requestBody": documentation.body("BudgetFields", _FIELDS)},
    )  # fmt: skip
    async def put(request: Request, name: str) -> Response:
        """What was spent stays, unless its period becomes another. Requests that wait for a budget ask again."""
        body, made = await budgets.put(caller_of(request).tenant.name, name, await request.body())
        return Response(body, 201 if made else 200, media_type=JSON)

    @routes.delete(
        "/v1/budgets/{name}", summary="Remove a budget", operation_id="delete_budget", status_code=204,
        response_class=Response, responses=documentation.errors("not_found"),
    )  # fmt: skip
    async def delete(request: Request, name: str) -> Response:
        """Calls that begin after the answer are not charged to it. One that is made anew begins at nothing."""
        await budgets.delete(caller_of(request).tenant.name, name)
        return Response(status_code=204)
