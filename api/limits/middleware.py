"""RateLimit and RateLimit-Policy on every answer of the routes that start work. Plain ASGI, as api/middleware.py."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.answer_headers import STARTS_WORK
from api.authentication import SCOPE, Caller
from api.limits.glance import Glance

NAMES = (b"ratelimit", b"ratelimit-policy")


class RateLimits:
    """Behind Authenticate: a look every tenth of a second for each key, at most."""

    def __init__(self, app: ASGIApp, glance: Glance) -> None:
        self._app = app
        self._glance = glance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller: Caller | None = scope.get(SCOPE)
        if caller is None or scope["method"] != "POST" or not scope["path"].startswith(STARTS_WORK):
            await self._app(scope, receive, send)
            return
        seen = await self._glance.look(caller)

        async def limited(message: Message) -> None:
            if message["type"] == "http.response.start" and seen is not None:
                others = [(name, value) for name, value in message.get("headers", ()) if name not in NAMES]
                message["headers"] = [*others, *((name.encode(), text.encode()) for name, text in seen.headers.items())]
            await send(message)

        await self._app(scope, receive, limited)
