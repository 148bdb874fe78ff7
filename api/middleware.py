"""What happens to every request, in this order; all of it plain ASGI, since it runs on the hot path.

A layer that has nothing to wait for, and nothing to do afterwards, is no coroutine of its own: a request that waits is
resumed through every coroutine around it.

Frame         gives the request its id, counts it, turns what nobody caught into a 500
BodyLimit     refuses a body above the limit without reading it all
Authenticate  lets only callers with a key that has the route's scope into the protected paths

Around Frame stands api/shield/headers.py, between Frame and BodyLimit api/shield/limits.py.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable
from dataclasses import dataclass

import uuid_utils
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems, scopes, spans
from api.authentication import SCOPE, Caller, Keyring, refusal, secret_of
from api.deadlines import Deadlines
from api.problems import Problem
from api.refusing import REQUEST_ID, discard, refuse
from api.rendering import render_for
from api.shield.bodies import Bodies, counted
from api.shield.limits import Failures
from api.shield.peers import CLIENT
from api.shield.refusals import TOLD, Refusals
from api.within import GIVE_UP_AT, PATIENCE_S
from domain.errors import Transient
from domain.metrics import Metrics

PROTECTED = ("/v1/", "/openai/")
SIGNED = re.compile(r"/v1/sources/[^/]+/events")
"""Let in without a key: the route checks a signature over the body."""
_GIVEN_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

log = logging.getLogger(__name__)


class Frame:
    """`X-Request-Id` is taken over when it is well formed, and always answered; requests are counted."""

    def __init__(self, app: ASGIApp, metrics: Metrics, refusals: Refusals) -> None:
        self._app = app
        self._metrics = metrics
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_at = time.perf_counter()
        request_id = scope[REQUEST_ID] = _request_id(scope)
        scope[GIVE_UP_AT] = asyncio.get_running_loop().time() + PATIENCE_S
        status = 0

        def framed(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            return send(message)

        try:
            await self._app(scope, receive, framed)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"], extra={"request_id": request_id})
            if status:
                raise  # the answer has begun: all that is left is to break the connection
            await render_for(scope, problems.INTERNAL, request_id)(scope, receive, framed)
        finally:
            spans.end(scope, status)
            self._count(scope, status, time.perf_counter() - started_at)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        # a path that is no route is not a label: strangers could make up any number of them
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count("http_requests", method=method, route=route, status=str(status))
        self._metrics.observe("http_seconds", seconds, method=method, route=route)
        if status in TOLD:
            self._refusals.note(scope, status, route)


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """`largest` body in bytes, `seconds` until it is there; `most` bytes on their way, `share` of them one caller's."""

    largest: int
    seconds: float
    most: int
    share: int


class BodyLimit:
    """Raises a 413 problem where the body is read, or answers it at once when the length is announced.

    A body that is not there after `seconds` is a 408, so that nobody holds a place by sending a byte now and then;
    those that are on their way are counted.
    """

    def __init__(self, app: ASGIApp, bounds: BodyBounds, deadlines: Deadlines) -> None:
        self._app = app
        self._max_bytes = bounds.largest
        self._seconds = bounds.seconds
        self._bodies = Bodies(bounds.most, bounds.share, bounds.largest)
        self._deadlines = deadlines

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        problem, announced = self._refusal(scope["headers"])
        if problem is not None:
            return refuse(scope, receive, send, problem)
        read, more, loop = 0, True, asyncio.get_running_loop()
        ends_at = loop.time() + self._seconds

        async def limited() -> Message:
            nonlocal read, more
            if not more:
                return await receive()  # the body is there: what is waited for is that the client leaves
            began = loop.time()
            message = await self._in_time(receive, ends_at)
            scope[GIVE_UP_AT] += loop.time() - began
            read += len(message.get("body", b""))
            more = message.get("more_body", False)
            if read > self._max_bytes:
                await discard(scope, receive)
                raise self._too_large()
            return message

        size = self._bodies.size(scope["method"], announced)
        if size:
            return counted(self._app, self._bodies, size, scope, limited, send)
        return self._app(scope, limited, send)

    async def _in_time(self, receive: Receive, ends_at: float) -> Message:
        try:
            return await self._deadlines.of(receive(), ends_at)
        except TimeoutError:
            raise Problem("too_slow", f"the body was not there within {self._seconds:g} s") from None

    def _refusal(self, headers: list[tuple[bytes, bytes]]) -> tuple[Problem | None, int | None]:
        """Why it is not read, and how many bytes are announced; None where nothing is said of them."""
        announced = None
        for name, value in headers:
            if name == b"content-length" and value.isdigit():
                announced = int(value)
                if announced > self._max_bytes:
                    return self._too_large(), announced
            if name == b"content-encoding" and value.lower() != b"identity":
                return Problem("unsupported_encoding", "send the body without Content-Encoding"), announced
        return None, announced

    def _too_large(self) -> Problem:
        return Problem("too_large", f"a body may have {self._max_bytes} bytes")


class Authenticate:
    """Puts the Caller into the scope of protected paths, or answers 401, 403, 429 or 503."""

    def __init__(self, app: ASGIApp, keyring: Keyring, failures: Failures) -> None:
        self._app = app
        self._keyring = keyring
        self._failures = failures

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http" or not scope["path"].startswith(PROTECTED) or SIGNED.fullmatch(scope["path"]):
            return self._app(scope, receive, send)
        secret = secret_of(scope["headers"])
        caller = None if secret is None else self._keyring.remembered(secret)
        if caller is None:
            return self._look_up(scope, receive, send, secret)
        problem = _let_in(scope, caller)
        return self._app(scope, receive, send) if problem is None else refuse(scope, receive, send, problem)

    async def _look_up(self, scope: Scope, receive: Receive, send: Send, secret: str | None) -> None:
        problem = await self._verify(scope, secret)
        await (self._app(scope, receive, send) if problem is None else refuse(scope, receive, send, problem))

    async def _verify(self, scope: Scope, secret: str | None) -> Problem | None:
        address, caller = scope[CLIENT].address, None
        problem = self._failures.objection(address)
        # somebody at the same address who has a good key goes on
        if problem is not None and not (secret and self._keyring.has_seen(secret)):
            return problem
        if secret is not None:
            try:
                async with asyncio.timeout_at(scope[GIVE_UP_AT]):
                    caller = await self._keyring.verify(secret)
            except Transient as error:
                return problems.of_transient(error)
            except TimeoutError:
                return problems.unavailable("the accounts do not answer; try again")
        if caller is None:
            self._failures.count(address)
            return refusal(secret)
        return _let_in(scope, caller)


def _let_in(scope: Scope, caller: Caller) -> Problem | None:
    if not caller.tenant.active:
        return Problem("forbidden", f"tenant {caller.tenant.name!r} is suspended")
    scope[SCOPE] = caller
    return scopes.objection(caller.key.scopes, scope["method"], scope["path"])


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(value):
            return str(value, "ascii")
    return str(uuid_utils.uuid7())
