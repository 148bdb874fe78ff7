"""Routes of the simulated provider, and what happens to a call between its arrival and its answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from ops.local.provider import embeddings
from ops.local.provider.calls import BadCall
from ops.local.provider.control import BadControl, Control, described
from ops.local.provider.serving import CallServer, json_response

_LARGEST_BODY = 64 * 1024 * 1024
_MODELS = ("simulated-small", "simulated-large", "simulated-embedding")
_STOP_SECONDS = 1.0

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Provider:
    """The application: one control, one address. `serve` starts it, `close` stops it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.control = Control(clock)
        self._calls = CallServer(self.control, clock)
        self._routes: dict[tuple[str, str], Handler] = {
            ("POST", "/v1/chat/completions"): self._calls.openai,
            ("POST", "/v1/messages"): self._calls.anthropic,
            ("POST", "/v1/embeddings"): self._embeddings,
            ("GET", "/v1/models"): _models,
            ("GET", "/healthz"): _healthy,
            ("POST", "/control"): self._change,
            ("GET", "/control"): self._count,
            ("DELETE", "/control"): self._reset,
        }
        self._http: web.Server | None = None
        self._listener: asyncio.Server | None = None

    async def serve(self, host: str, port: int) -> int:
        """Listens; returns the port (a free one when `port` is 0). Raises OSError when it is taken."""
        loop = asyncio.get_running_loop()
        self._http = web.Server(
            self._handle, request_factory=_request, handler_cancellation=True, access_log=None, keepalive_timeout=3600
        )
        self._listener = await loop.create_server(self._http, host, port, backlog=4096)
        return int(self._listener.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stops listening and ends every call, those that hang included."""
        self._calls.release()
        if self._listener is not None:
            self._listener.close()
        if self._http is not None:
            await self._http.shutdown(_STOP_SECONDS)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        handler = self._routes.get((request.method, request.path))
        if handler is None:
            return json_response(
                404, {"error": {"message": f"There is no {request.method} {request.path}.", "type": "not_found"}}
            )
        return await handler(request)

    async def _embeddings(self, request: web.BaseRequest) -> web.StreamResponse:
        counters = self.control.counters
        counters.arrive(request.headers.get("X-Client-Request-Id"))
        try:
            body, used = embeddings.response(orjson.loads(await request.read()))
        except (BadCall, orjson.JSONDecodeError) as error:
            counters.failed += 1
            return json_response(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
        counters.ok += 1
        counters.input_tokens += used
        return json_response(200, body)

    async def _change(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            settings = self.control.apply(orjson.loads(await request.read()))
        except (BadControl, orjson.JSONDecodeError) as error:
            return json_response(400, {"error": {"message": str(error), "type": "invalid_request_error"}})
        return json_response(200, described(settings))

    async def _count(self, _request: web.BaseRequest) -> web.StreamResponse:
        return json_response(200, self.control.counters)

    async def _reset(self, _request: web.BaseRequest) -> web.StreamResponse:
        self.control.reset()
        self._calls.release()
        return json_response(200, described(self.control.settings(None)))


async def _models(_request: web.BaseRequest) -> web.StreamResponse:
    data = [{"id": name, "object": "model", "created": 1_767_225_600, "owned_by": "simulated"} for name in _MODELS]
    return json_response(200, {"object": "list", "data": data})


async def _healthy(_request: web.BaseRequest) -> web.StreamResponse:
    return json_response(200, {"status": "ok"})


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=_LARGEST_BODY)
