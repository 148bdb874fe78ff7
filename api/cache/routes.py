"""GET, POST and DELETE /v1/cache."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api import documentation
from api.acting import AS_CALLER
from api.analyze.outcome import JSON
from api.authentication import caller_of
from api.bodies import read
from api.cache.service import Cache, chosen
from domain.forgetting.invalidation import Invalidation

_ROW = {
    "template": "sentiment",
    "completed": 1200,
    "exact": 640,
    "semantic": 0,
    "coalesced": 35,
    "hit_rate": 0.5625,
    "saved_usd": "0.01681",
    "mean_age_s": 5210.4,
    "semantic_checks": {"checked": 40, "wrong": 0, "false_hit_rate": 0.0, "closed_versions": []},
}
_FORGET = {"template": "sentiment@2", "tag": "team=support"}
_FORGOTTEN = {
    "invalidated": [{"kind": "template", "value": "sentiment@2"}, {"kind": "tag", "value": "team=support"}],
    "at": "2026-01-01T00:00:00.000Z",
}
_USE: dict[int | str, dict[str, Any]] = {
    200: documentation.answer(
        "A row a template; null where a request named none. Of the `completed` ones, `exact` and `semantic` came from "
        "the cache and `coalesced` were given the answer of a call that was being made. `semantic_checks`: hits of the "
        "semantic cache of late that were called for all the same, how many of these were wrong, and the versions of "
        "the template whose hits are not given for that reason; null where none was checked.",
        {"items": [_ROW], "next_cursor": None},
    ),
    **documentation.errors("invalid_request"),
}
_TOLD: dict[int | str, dict[str, Any]] = {
    202: documentation.answer("Every worker has heard of it within a second.", _FORGOTTEN),
    **documentation.errors("invalid_request", "unknown_template", "unknown_model"),
}


class Named(BaseModel):
    """Answers, named in a query."""

    all: bool = Field(False, description="Everything.")
    key: str | None = Field(None, max_length=64, description="The 64 hex digits of a cache key.")
    template: str | None = Field(None, max_length=300, description="`name` or `name@version`.")
    output_schema: str | None = Field(None, max_length=300, description="`name`, `name@version` or `sha256:…`.")
    model: str | None = Field(None, max_length=300, description="An alias or `provider/model`.")
    tag: str | None = Field(None, max_length=300, description="`name` or `name=value`.")


def router(cache: Cache) -> APIRouter:
    routes = APIRouter(tags=["cache"], dependencies=AS_CALLER)
    _reading(routes, cache)
    _forgetting(routes, cache)
    return routes


def _reading(routes: APIRouter, cache: Cache) -> None:
    @routes.get(
        "/v1/cache", summary="What the cache saves", operation_id="get_cache", responses=_USE, response_class=Response
    )
    async def use(
        request: Request,
        since: Annotated[
            str, Query(max_length=40, description="A span back from now (`90s`, `24h`, `7d`) or an RFC 3339 time.")
        ] = "24h",
    ) -> Response:
        """Hits, their share, what they saved in US dollars and how old the answers were, by template."""
        return Response(await cache.page(caller_of(request).tenant.name, since), media_type=JSON)


def _forgetting(routes: APIRouter, cache: Cache) -> None:
    @routes.post(
        "/v1/cache",
        summary="Invalidate answers",
        operation_id="invalidate_cache",
        status_code=202,
        responses=_TOLD,
        response_class=Response,
        openapi_extra={"requestBody": documentation.body("Invalidation", _FORGET)},
    )
    async def invalidate(request: Request) -> Response:
        """Answers in each of these scopes are not given any more, nor are those that are being asked for now."""
        wanted = read(Invalidation, await request.body())
        return Response(await cache.forget(caller_of(request).tenant.name, wanted), 202, media_type=JSON)

    @routes.delete(
        "/v1/cache",
        summary="Invalidate answers, named in the query",
        operation_id="delete_cache",
        status_code=202,
        responses=_TOLD,
        response_class=Response,
    )
    async def delete(request: Request, named: Annotated[Named, Query()]) -> Response:
        """As POST; a schema without a name is `sha256:…` of its canonical JSON."""
        wanted = chosen(**named.model_dump())
        return Response(await cache.forget(caller_of(request).tenant.name, wanted), 202, media_type=JSON)
