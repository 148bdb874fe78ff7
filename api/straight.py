"""The way to the hottest routes: FastAPI's own (routing, dependencies, exit stacks) costs as much as their work does.

They are declared as any other, so that OpenAPI and everything else know them; only who asks takes the short way.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

Answer = Callable[[Request, Exception], Awaitable[Response]]
Routes = Mapping[tuple[str, str], APIRoute]
_RESPONSE = "structured_prompt.response"
_ENDLESS = range(2**31)
"""A response without a body is a stream."""


def straight(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], APIRoute]:
    """By method and path. The routes have no variables in their paths, take the request alone and give a Response."""
    return {
        (method, route.path): route for route in routes if isinstance(route, APIRoute) for method in route.methods or ()
    }


@dataclass(frozen=True, slots=True)
class Way:
    """`handled` errors of a route become the response of `answer`, as in the application.

    packed: what gives answers of `pack_from` bytes, and streams: `respond` behind the layer that compresses.
    """

    routes: Routes
    handled: tuple[type[Exception], ...]
    answer: Answer
    packed: ASGIApp
    pack_from: int


class Straight:
    """Takes whom the way is for, and lets everybody else through."""

    def __init__(self, app: ASGIApp, way: Way) -> None:
        self._app = app
        self._way = way

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        route = self._way.routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            return self._app(scope, receive, send)
        return self._take(route, scope, receive, send)

    async def _take(self, route: APIRoute, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = route
        request: Any = Request(scope, receive, send)
        try:
            response: Response = await route.endpoint(request)
        except self._way.handled as error:
            response = await self._way.answer(request, error)
        if len(getattr(response, "body", _ENDLESS)) < self._way.pack_from:
            await response(scope, receive, send)
            return
        scope[_RESPONSE] = response
        await self._way.packed(scope, receive, send)


async def respond(scope: Scope, receive: Receive, send: Send) -> None:
    """The response of a route that took the short way."""
    await scope[_RESPONSE](scope, receive, send)
