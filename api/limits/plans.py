"""/v1/limits/plans: limits that tenants share, for operators."""

from dataclasses import asdict

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.bodies import read
from api.limit_schemas import NAME_OF_PLAN, LimitFields
from api.operating import Operators
from api.problems import Problem
from api.within import PATIENCE_S, within
from domain.accounts.model import Plan
from domain.errors import Problem as Reason
from domain.ports import Accounts

JSON = "application/json"
ACCOUNTS = "the database of accounts"
_FIELDS = {"requests_per_minute": 6000, "burst": 100, "concurrency": 50}
_PLAN = {"name": "pro", **_FIELDS, "tokens_per_minute": 200_000, "token_burst": None}
_HOLDS = "What is null is the settings', or not limited. It holds within 5 s for every tenant that has the plan."
_LISTED: dict[int | str, dict[str, object]] = {
    200: documentation.answer(_HOLDS, {"items": [_PLAN], "next_cursor": None})
}
_ONE: dict[int | str, dict[str, object]] = {200: documentation.answer(_HOLDS, _PLAN)}


class PlanKeeper:
    """Answers are bytes of a body. Raises Problem: not_found, in_use, invalid_request, unavailable."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def listed(self) -> bytes:
        """There are few, and one page holds them all."""
        return orjson.dumps({"items": [_shown(one) for one in await self._plans()], "next_cursor": None})

    async def shown(self, name: str) -> bytes:
        for one in await self._plans():
            if one.name == name:
                return orjson.dumps(_shown(one))
        raise _unknown(name)

    async def put(self, name: str, body: bytes) -> bytes:
        if not NAME_OF_PLAN.fullmatch(name):
            raise Problem(
                "invalid_request", f"{name[:64]!r} is no name of a plan",
                (Reason("/name", "must be of 1 to 64 letters, digits, dots, dashes and underscores"),),
            )  # fmt: skip
        plan = Plan(name, read(LimitFields, body).allowance)
        await within(self._accounts.put_plan(plan), PATIENCE_S, ACCOUNTS)
        return orjson.dumps(_shown(plan))

    async def delete(self, name: str) -> None:
        if await within(self._accounts.delete_plan(name), PATIENCE_S, ACCOUNTS):
            return
        if name not in {one.name for one in await self._plans()}:
            raise _unknown(name)
        raise Problem("in_use", f"tenants have the plan {name!r}; give them another one first")

    async def _plans(self) -> list[Plan]:
        return await within(self._accounts.plans(), PATIENCE_S, ACCOUNTS)


def router(plans: PlanKeeper, operators: Operators) -> APIRouter:
    routes = APIRouter(tags=["limits"], dependencies=AS_CALLER)
    _reading(routes, plans, operators)
    _changing(routes, plans, operators)
    return routes


def _reading(routes: APIRouter, plans: PlanKeeper, operators: Operators) -> None:
    @routes.get(
        "/v1/limits/plans", summary="List plans", operation_id="list_plans", response_class=Response,
        responses={**_LISTED, **documentation.errors("forbidden")},
    )  # fmt: skip
    async def listing(request: Request) -> Response:
        """Limits that tenants share. For operators."""
        operators.check(request)
        return Response(await plans.listed(), media_type=JSON)

    @routes.get(
        "/v1/limits/plans/{name}", summary="Look at a plan", operation_id="get_plan", response_class=Response,
        responses={**_ONE, **documentation.errors("not_found", "forbidden")},
    )  # fmt: skip
    async def shown(request: Request, name: str) -> Response:
        """For operators; a tenant sees what limits it at GET /v1/limits."""
        operators.check(request)
        return Response(await plans.shown(name), media_type=JSON)


def _changing(routes: APIRouter, plans: PlanKeeper, operators: Operators) -> None:
    @routes.put(
        "/v1/limits/plans/{name}", summary="Make or change a plan", operation_id="put_plan", response_class=Response,
        responses={**_ONE, **documentation.errors("forbidden", "invalid_request")},
        openapi_extra={"requestBody": documentation.body("LimitFields", _FIELDS)},
    )  # fmt: skip
    async def put(request: Request, name: str) -> Response:
        """All its limits at once; `PUT /v1/limits/tenants/{name}` gives a tenant the plan. For operators."""
        operators.check(request)
        return Response(await plans.put(name, await request.body()), media_type=JSON)

    @routes.delete(
        "/v1/limits/plans/{name}", summary="Delete a plan", operation_id="delete_plan", status_code=204,
        response_class=Response, responses=documentation.errors("not_found", "forbidden", "in_use"),
    )  # fmt: skip
    async def delete(request: Request, name: str) -> Response:
        """Not while tenants have it. For operators."""
        operators.check(request)
        await plans.delete(name)
        return Response(status_code=204)


def _shown(plan: Plan) -> dict[str, object]:
    return {"name": plan.name, **asdict(plan.allowance)}


def _unknown(name: str) -> Problem:
    return Problem("not_found", f"there is no plan {name[:64]!r}; GET /v1/limits/plans lists them")
