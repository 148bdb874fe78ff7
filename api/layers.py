"""What lies around the application, and the answers to what its routes raise.

The layers are outermost: what FastAPI and Starlette put around an application of their own costs a request as much as
all of ours.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette_compress import CompressMiddleware

from api import problems
from api.authentication import Keyring
from api.deadlines import Deadlines
from api.limits.glance import Glance
from api.limits.middleware import RateLimits
from api.middleware import Authenticate, BodyBounds, BodyLimit, Frame
from api.ports import ApiPorts
from api.problems import Problem
from api.refusing import REQUEST_ID
from api.rendering import render_for
from api.shield.headers import ResponseHeaders
from api.shield.limits import AddressLimits, Failures
from api.shield.peers import Peers
from api.shield.refusals import Refusals
from api.straight import Routes, Straight, Way, respond
from domain.accounts.keys import pepper
from domain.accounts.limits import Defaults
from domain.errors import InvalidRequest, Transient
from domain.incoming.rates import Rates
from domain.settings import Settings
from topics.codec import MAX_BYTES

COMPRESS_FROM_BYTES = 1024
MOST_ON_THEIR_WAY = 128 * MAX_BYTES
"""Of bodies in each process, a half of it for one caller."""
ASKED_HEADERS = ("Authorization", "X-API-Key", "Idempotency-Key", "Prefer", "X-Request-Id")
TOLD_HEADERS = ("Location", "Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id")


class Layered(FastAPI):
    """An application inside of `layers`, the first of which is the outermost."""

    def __init__(self, layers: Sequence[Middleware], **given: Any) -> None:
        super().__init__(**given)
        self._outermost = around(super().__call__, layers)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:  # type: ignore[override]
        return self._outermost(scope, receive, send)  # ASGI asks for an awaitable, FastAPI for a coroutine

    def build_middleware_stack(self) -> ASGIApp:
        """Without Starlette's own net for faults: it would answer them, as text, before Frame sees them."""
        stack = super().build_middleware_stack()
        return stack.app if isinstance(stack, ServerErrorMiddleware) else stack


def around(app: ASGIApp, layers: Sequence[Middleware]) -> ASGIApp:
    """The application with its layers, the first outermost."""
    for layer in reversed(layers):
        app = layer.cls(app, *layer.args, **layer.kwargs)
    return app


def layers(ports: ApiPorts, settings: Settings, glance: Glance, routes: Routes) -> list[Middleware]:
    """Around the application, from the outside in. `routes` take the short way."""
    secret = pepper(settings.key_pepper.get_secret_value())
    keyring = Keyring(ports.accounts, secret, defaults(settings))
    rates = Rates(settings.address_requests_per_minute, settings.address_burst)
    failures = Failures(Rates(settings.address_failures_per_minute, settings.address_failures_per_minute))
    bounds = BodyBounds(MAX_BYTES, settings.body_timeout_s, MOST_ON_THEIR_WAY, MOST_ON_THEIR_WAY // 2)
    way = Way(routes, HANDLED, _answer, CompressMiddleware(respond, **PACKING), COMPRESS_FROM_BYTES)
    return [
        Middleware(ResponseHeaders, peers=Peers(settings.proxy_networks)),
        Middleware(Frame, metrics=ports.metrics, refusals=Refusals()),
        Middleware(AddressLimits, rates=rates),
        *_cross_origin(settings.origins),
        Middleware(BodyLimit, bounds=bounds, deadlines=Deadlines()),
        Middleware(Authenticate, keyring=keyring, failures=failures),
        Middleware(RateLimits, glance=glance),
        Middleware(Straight, way=way),
        Middleware(CompressMiddleware, **PACKING),
    ]


def defaults(settings: Settings) -> Defaults:
    """The limits of a tenant that has none of its own."""
    return Defaults(settings.requests_per_minute, settings.burst)


def _cross_origin(origins: Sequence[str]) -> list[Middleware]:
    """Without credentials: a key is sent by the page itself, and no cookie of ours exists."""
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware, allow_origins=origins, allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
            allow_headers=ASKED_HEADERS, expose_headers=TOLD_HEADERS,
        )
    ]  # fmt: skip


async def _answer(request: Request, error: Exception) -> Response:
    return render_for(request.scope, problems.of(error), request.scope[REQUEST_ID])


async def _answer_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    problem = problems.of(error)
    if status in (404, 405):
        allowed = f" (it takes {problem.headers['allow']})" if "allow" in problem.headers else ""
        problem.detail = f"there is no {request.method} {request.url.path[:200]}{allowed}; /docs lists what there is"
    return render_for(request.scope, problem, request.scope[REQUEST_ID], status)


PACKING: Mapping[str, Any] = {"minimum_size": COMPRESS_FROM_BYTES, "zstd": False}
HANDLED: tuple[type[Exception], ...] = (Problem, InvalidRequest, Transient, RequestValidationError)
HANDLERS: Mapping[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    HTTPException: _answer_http, **dict.fromkeys(HANDLED, _answer),
}  # fmt: skip
