"""Serves one call: count it, fail or limit it as told, wait as long as a model would, send the answer."""

import asyncio
import hashlib
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from ops.local.provider import anthropic, openai
from ops.local.provider.calls import BadCall, Call, Dialect, parse
from ops.local.provider.control import Control
from ops.local.provider.engine import Attempt, answer, delay, output_tokens
from ops.local.provider.limits import retry_after
from ops.local.provider.malformed import HTML, Answer

_LIMITS = (("requests_per_second", "requests"), ("tokens_per_minute", "tokens"))
_STATUS_KINDS = {400: "invalid_request_error", 429: "rate_limit_error", 500: "server_error"}


class CallServer:
    """The two routes that call a model."""

    def __init__(self, control: Control, clock: Callable[[], float]) -> None:
        self._control = control
        self._clock = clock
        self._released = asyncio.Event()

    async def openai(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._serve(request, "openai")

    async def anthropic(self, request: web.BaseRequest) -> web.StreamResponse:
        return await self._serve(request, "anthropic")

    def release(self) -> None:
        """Ends the calls that hang: their connections are reset."""
        self._released.set()
        self._released = asyncio.Event()

    async def _serve(self, request: web.BaseRequest, dialect: Dialect) -> web.StreamResponse:
        counters = self._control.counters
        request_id = request.headers.get("X-Client-Request-Id")
        number = counters.arrive(request_id)
        outcome = "failed"
        try:
            call = parse(await request.read(), dialect)
            attempt = Attempt(request_id, number, counters.limit(request_id, call.max_tokens))
            response, outcome = await self._respond(request, call, attempt)
        except BadCall as error:
            response = _error(dialect, 400, str(error), {})
        finally:
            setattr(counters, outcome, getattr(counters, outcome) + 1)
        return response

    async def _respond(self, request: web.BaseRequest, call: Call, attempt: Attempt) -> tuple[web.StreamResponse, str]:
        settings = self._control.settings(call.model)
        match settings.failure:
            case "refuse_connection":
                return _reset(request), "failed"
            case "hang":
                await self._released.wait()
                return _reset(request), "failed"
            case "rate_limited":
                return _error(call.dialect, 429, "Rate limit reached: told to.", _no_requests_left()), "rate_limited"
            case "error_500":
                await asyncio.sleep(delay(attempt, call, settings))
                return _error(call.dialect, 500, "The server had an error: told to.", {}), "failed"
        given = answer(call, attempt, settings)
        used = output_tokens(given)
        wait, headers = self._admit(call, call.input_tokens + used)
        if wait > 0:
            message = f"Rate limit reached for {call.model}. Try again in {wait:.3f} s."
            told = {} if settings.tells == "nothing" else retry_after(wait)
            return _error(call.dialect, 429, message, {**headers, **told}), "rate_limited"
        if (seconds := delay(attempt, call, settings)) > 0:
            await asyncio.sleep(seconds)
        self._control.counters.charge(attempt.request_id, call.input_tokens, used)
        headers["x-request-id"] = headers["request-id"] = f"req_{_identifier(attempt, call)}"
        return await _send(request, call, given, headers), "failed" if given.wire else "ok"

    def _admit(self, call: Call, tokens: int) -> tuple[float, dict[str, str]]:
        """Seconds to wait (0: the call may pass and was charged), and the headers of the limits that hold."""
        now = self._clock()
        headers: dict[str, str] = {}
        charged = []
        wait = 0.0
        for name, unit in _LIMITS:
            if (bucket := self._control.bucket(call.model, name)) is not None:
                amount = 1 if unit == "requests" else tokens
                wait = max(wait, bucket.wait(amount, now))
                charged.append((bucket, amount, unit))
        for bucket, amount, unit in charged:
            if wait == 0:
                bucket.take(amount, now)
            if self._control.settings(call.model).tells == "limits":
                headers.update(bucket.headers(unit, now))
        return wait, headers


def json_response(status: int, value: Any) -> web.Response:
    """A response with a JSON body."""
    return web.Response(status=status, body=orjson.dumps(value), headers={"content-type": "application/json"})


async def _send(request: web.BaseRequest, call: Call, given: Answer, headers: dict[str, str]) -> web.StreamResponse:
    if given.wire == "not_json_body":
        return web.Response(body=HTML.encode(), headers={**headers, "content-type": "text/html"})
    pieces = _pieces(call, given, headers["x-request-id"].removeprefix("req_"))
    headers["content-type"] = "text/event-stream" if call.stream else "application/json"
    if given.wire is None and not call.stream:
        return web.Response(body=pieces[0], headers=headers)
    response = web.StreamResponse(headers=headers)
    if given.wire == "wrong_content_length" and not call.stream:
        response.content_length = len(pieces[0]) + 64
    await response.prepare(request)
    if given.wire is None:
        for piece in pieces:
            await response.write(piece)
        return response
    whole = b"".join(pieces)
    kept = len(whole) if response.content_length is not None else len(whole) // 2
    await response.write(whole[:kept])
    if request.transport is not None:
        request.transport.close()
    return response


def _pieces(call: Call, given: Answer, identifier: str) -> list[bytes]:
    """The body: one piece, or one an event when it is streamed."""
    created = int(time.time())
    if call.dialect == "openai":
        whole = openai.stream(call, given, identifier, created) if call.stream else None
        return whole or [openai.body(call, given, identifier, created)]
    return anthropic.stream(call, given, identifier) if call.stream else [anthropic.body(call, given, identifier)]


def _identifier(attempt: Attempt, call: Call) -> str:
    key = f"{attempt.request_id}#{attempt.number}#{call.question}"
    return hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def _error(dialect: Dialect, status: int, message: str, headers: dict[str, str]) -> web.Response:
    kind = _STATUS_KINDS[status]
    if dialect == "openai":
        body = openai.error(message, kind, "rate_limit_exceeded" if status == 429 else None)
    else:
        body = anthropic.error(message, "api_error" if status == 500 else kind)
    return web.Response(status=status, body=body, headers={**headers, "content-type": "application/json"})


def _no_requests_left() -> dict[str, str]:
    return {
        "x-ratelimit-limit-requests": "1",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
        **retry_after(1),
    }


def _reset(request: web.BaseRequest) -> web.StreamResponse:
    """Resets the connection: the nearest to a refusal that one address shared with `/control` allows."""
    if request.transport is not None:
        if (connection := request.transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()
