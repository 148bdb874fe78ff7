"""RateLimit and RateLimit-Policy on every answer of the routes that start work. Plain ASGI, as api/middleware.py."""

from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answer_headers import STARTS_WORK
from api.authentication import SCOPE, Caller
from api.limits.glance import Glance, Seen

NAMES = (b"ratelimit", b"ratelimit-policy")


class RateLimits:
    """Behind Authenticate: a look every tenth of a second for each key, at most."""

    def __init__(self, app: ASGIApp, glance: Glance) -> None:
        self._app = app
        self._glance = glance

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        caller: Caller | None = scope.get(SCOPE)
        if caller is None or scope["method"] != "POST" or not scope["path"].startswith(STARTS_WORK):
            return self._app(scope, receive, send)
        seen = self._glance.recent(caller)
        if seen is None:
            return self._look(caller, scope, receive, send)
        return self._app(scope, receive, _telling(send, seen))

    async def _look(self, caller: Caller, scope: Scope, receive: Receive, send: Send) -> None:
        seen = await self._glance.look(caller)
        await self._app(scope, receive, send if seen is None else _telling(send, seen))


def _telling(send: Send, seen: Seen) -> Send:
    def limited(message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            # a problem that was rendered with them has them already
            others = [pair for pair in message.get("headers", ()) if pair[0] not in NAMES]
            message["headers"] = [*others, *seen.raw_headers]
        return send(message)

    return limited
