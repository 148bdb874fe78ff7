"""The way to the hottest routes: FastAPI's own (routing, dependencies, exit stacks) costs as much as their work does.

They are declared as any other, so that OpenAPI and everything else know them; only who asks takes the short way.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

Answer = Callable[[Request, Exception], Awaitable[Response]]
Routes = Mapping[tuple[str, str], APIRoute]


def straight(routes: Iterable[BaseRoute]) -> dict[tuple[str, str], APIRoute]:
    """By method and path. The routes have no variables in their paths, take the request alone and give a Response."""
    return {
        (method, route.path): route for route in routes if isinstance(route, APIRoute) for method in route.methods or ()
    }


class Straight:
    """The innermost layer. `handled` errors of a route become the response of `answer`, as in the application."""

    def __init__(self, app: ASGIApp, routes: Routes, handled: tuple[type[Exception], ...], answer: Answer) -> None:
        self._app = app
        self._routes = routes
        self._handled = handled
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request: Any = Request(scope, receive, send)
        try:
            response: Response = await route.endpoint(request)
        except self._handled as error:
            response = await self._answer(request, error)
        await response(scope, receive, send)
