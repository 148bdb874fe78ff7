"""/v1/limits/keys and /v1/limits/tenants: setting limits."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.authentication import caller_of
from api.limits.keeper import LimitKeeper
from api.operating import Operators

JSON = "application/json"
_FIELDS = {"requests_per_minute": 60, "burst": 10, "concurrency": 5}
_OWN = {"requests_per_minute": 60, "burst": 10, "tokens_per_minute": None, "token_burst": None, "concurrency": 5}
_KEY = {"id": "key_93ac0f1b22d4e677", "name": "ci", "revoked_at": None, **_OWN}
_TENANT = {"name": "acme", "plan": "pro", **_OWN, "holds": {**_OWN, "tokens_per_minute": 200_000}}
_HOLD = "What is null is not limited. They hold within 5 s, beside the tenant's."
_HOLDS = (
    "Its own limits, and under `holds` those that count: its plan's where it has none of its own, the settings' where "
    "neither has any. They hold within 5 s."
)
_KEYS: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_HOLD, {"items": [_KEY], "next_cursor": None}),
    **documentation.errors(),
}
_ONE: dict[int | str, dict[str, Any]] = {200: documentation.answer(_HOLD, _KEY), **documentation.errors("not_found")}
_PUT: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_HOLD, _KEY),
    **documentation.errors("not_found", "forbidden", "invalid_request"),
}
_SHOWN: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_HOLDS, _TENANT),
    **documentation.errors("not_found", "forbidden"),
}
_SET: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(_HOLDS, _TENANT),
    **documentation.errors("not_found", "forbidden", "invalid_request"),
}


def router(limits: LimitKeeper, operators: Operators) -> APIRouter:
    routes = APIRouter(tags=["limits"], dependencies=AS_CALLER)
    _of_keys(routes, limits)
    _of_tenants(routes, limits, operators)
    return routes


def _of_keys(routes: APIRouter, limits: LimitKeeper) -> None:
    @routes.get(
        "/v1/limits/keys", summary="List the limits of keys", operation_id="list_key_limits", responses=_KEYS,
        response_class=Response,
    )  # fmt: skip
    async def listing(request: Request) -> Response:
        """What each key of the tenant is limited to, beside the tenant's own limits."""
        return Response(await limits.keys(caller_of(request).tenant.name), media_type=JSON)

    @routes.get(
        "/v1/limits/keys/{id}", summary="Look at the limits of a key", operation_id="get_key_limits", responses=_ONE,
        response_class=Response,
    )  # fmt: skip
    async def shown(request: Request, id: str) -> Response:
        """Of a key of the tenant."""
        return Response(await limits.key(caller_of(request).tenant.name, id), media_type=JSON)

    @routes.put(
        "/v1/limits/keys/{id}", summary="Limit a key", operation_id="put_key_limits", responses=_PUT,
        response_class=Response, openapi_extra={"requestBody": documentation.body("LimitFields", _FIELDS)},
    )  # fmt: skip
    async def put(request: Request, id: str) -> Response:
        """All its limits at once: what is left out is not limited. A key with limits may only narrow its own."""
        return Response(await limits.limit_key(caller_of(request), id, await request.body()), media_type=JSON)

    @routes.delete(
        "/v1/limits/keys/{id}", summary="Remove the limits of a key", operation_id="delete_key_limits",
        status_code=204, response_class=Response, responses=documentation.errors("not_found", "forbidden"),
    )  # fmt: skip
    async def delete(request: Request, id: str) -> Response:
        """The tenant's limits are left. A key with limits of its own removes none."""
        await limits.free_key(caller_of(request), id)
        return Response(status_code=204)


def _of_tenants(routes: APIRouter, limits: LimitKeeper, operators: Operators) -> None:
    @routes.get(
        "/v1/limits/tenants/{name}", summary="Look at the limits of a tenant", operation_id="get_tenant_limits",
        responses=_SHOWN, response_class=Response,
    )  # fmt: skip
    async def shown(request: Request, name: str) -> Response:
        """For operators; everybody sees what limits them at GET /v1/limits."""
        operators.check(request)
        return Response(await limits.tenant(name), media_type=JSON)

    @routes.put(
        "/v1/limits/tenants/{name}", summary="Limit a tenant", operation_id="put_tenant_limits", responses=_SET,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("TenantLimits", {**_FIELDS, "plan": "pro"})},
    )  # fmt: skip
    async def put(request: Request, name: str) -> Response:
        """All its own limits and its plan at once: what is left out is its plan's or the settings'. For operators."""
        operators.check(request)
        return Response(await limits.limit_tenant(name, await request.body()), media_type=JSON)

    @routes.delete(
        "/v1/limits/tenants/{name}", summary="Remove the limits of a tenant", operation_id="delete_tenant_limits",
        status_code=204, response_class=Response, responses=documentation.errors("not_found", "forbidden"),
    )  # fmt: skip
    async def delete(request: Request, name: str) -> Response:
        """Its plan is gone too, and the settings' defaults hold. For operators."""
        operators.check(request)
        await limits.free_tenant(name)
        return Response(status_code=204)
