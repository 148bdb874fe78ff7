"""/v1/schemas."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.schemas.service import SchemaService

_AT = "2026-01-01T00:00:00.000Z"
_SCHEMA = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}
_VERSION = {"version": 2, "schema": _SCHEMA, "created_at": _AT}
_LINE = {"name": "verdict", "compatibility": "BACKWARD", "latest_version": 2, "updated_at": _AT}
_OPEN = "the object is open; say additionalProperties: false"
_WARNING = {"model": "openai/gpt-4o-mini", "path": "", "message": _OPEN}
_ADDED = {"name": "verdict", **_VERSION, "compatibility": "BACKWARD", "created": True, "warnings": [_WARNING]}
_ADD: dict[int | str, dict[str, Any]] = {
    201: documentation.answer("The new version.", _ADDED),
    200: documentation.answer("The newest version is this schema, or it was a dry run.", {**_ADDED, "created": False}),
    **documentation.errors("invalid_request", "incompatible_schema", "too_large"),
}
_LIST = {
    200: documentation.answer("In the order of their names.", {"items": [_LINE], "next_cursor": None}),
    **documentation.errors(),
}
_ONE = {
    200: documentation.answer("With every version, newest first.", {**_LINE, "versions": [_VERSION]}),
    **documentation.errors("not_found"),
}
_CHANGED = {**_ONE, **documentation.errors("not_found", "invalid_request")}
_OF_VERSION = {
    200: documentation.answer("One version.", {"name": "verdict", **_VERSION}),
    **documentation.errors("not_found", "invalid_request"),
}
_BODY = {"name": "verdict", "schema": _SCHEMA, "compatibility": "BACKWARD"}
_MODE = {"compatibility": "FULL"}
Name = Annotated[str, Path(max_length=255, description="The schema's name.")]


def router(service: SchemaService) -> APIRouter:
    routes = APIRouter(tags=["schemas"], dependencies=AS_CALLER)

    @routes.post(
        "/v1/schemas", summary="Add a version of an output schema", operation_id="add_schema", status_code=201,
        responses=_ADD, response_class=Response, openapi_extra={"requestBody": _body(_BODY)},
    )  # fmt: skip
    async def add(
        request: Request,
        dry_run: Annotated[bool, Query(description="Only say whether it would be taken.")] = False,
    ) -> Response:
        """A new name, or the next version of one. It must fit the version before as `compatibility` says: `BACKWARD`
        (results of the version before are valid under this one; the default), `FORWARD` (the other way round), `FULL`
        (both) or `NONE`; else 409 with the reasons. A request then says `"output_schema": {"name", "version"}`.
        `warnings` tell, for the first model of each alias, what it will not enforce of the schema while it writes.
        """
        made = await service.add(caller_of(request).tenant.name, await request.body(), dry_run)
        return Response(service.registered(made), 201 if made.created else 200, media_type=JSON)

    @routes.get(
        "/v1/schemas", summary="List output schemas", operation_id="list_schemas", responses=_LIST,
        response_class=Response,
    )  # fmt: skip
    async def listing(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=200, description="Rows of a page.")] = 50,
        cursor: Annotated[str | None, Query(max_length=255, description="`next_cursor` of the page before.")] = None,
    ) -> Response:
        """Their names, newest versions and compatibility."""
        return Response(await service.page(caller_of(request).tenant.name, limit, cursor), media_type=JSON)

    _reading(routes, service)
    return routes


def _reading(routes: APIRouter, service: SchemaService) -> None:
    @routes.get(
        "/v1/schemas/{name}", summary="Read an output schema", operation_id="get_schema", responses=_ONE,
        response_class=Response,
    )  # fmt: skip
    async def one(request: Request, name: Name) -> Response:
        """With every version, newest first."""
        return Response(await service.one(caller_of(request).tenant.name, name), media_type=JSON)

    @routes.patch(
        "/v1/schemas/{name}", summary="Change how the next version must fit", operation_id="change_schema",
        responses=_CHANGED, response_class=Response, openapi_extra={"requestBody": _body(_MODE)},
    )  # fmt: skip
    async def change(request: Request, name: Name) -> Response:
        """Versions themselves never change."""
        return Response(
            await service.change(caller_of(request).tenant.name, name, await request.body()), media_type=JSON
        )

    @routes.get(
        "/v1/schemas/{name}/versions/{version}", summary="Read a version", operation_id="get_schema_version",
        responses=_OF_VERSION, response_class=Response,
    )  # fmt: skip
    async def version(
        request: Request,
        name: Name,
        version: Annotated[str, Path(pattern="^([1-9][0-9]{0,8}|latest)$", description="A number, or `latest`.")],
    ) -> Response:
        """As results are stamped with it."""
        number = None if version == "latest" else int(version)
        return Response(await service.version(caller_of(request).tenant.name, name, number), media_type=JSON)


def _body(example: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": {"type": "object"}, "example": example}}}
