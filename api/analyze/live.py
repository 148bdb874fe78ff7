"""A request that is followed as it goes: its states, its text where the provider streams, its end.

What was said already never changes: text that does not go on where the last piece ended is left out, and the result,
which holds all of it, brings the rest. A client that leaves does not stop the work.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api import problems
from api.analyze import outcome
from api.analyze.service import Begun
from api.analyze.waiters import News, Standing
from domain.ports import Chunk
from domain.routing.model import Piece, ToolPiece
from topics.base import format_time

QUIET_S = 5.0
"""A silent connection is dropped by many a proxy after half a minute."""
KEEP_ALIVE = b": keep-alive\n\n"
LAST_LOOK_S = 0.001


class Quiet:
    """Nothing happened for a while."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The result's bytes, None when it is not there in time."""

    result: bytes | None


Happening = Standing | Piece | Quiet | Ended
Wait = Callable[[Begun, float], Awaitable[bytes | None]]


async def follow(begun: Begun, wait: Wait, seconds: float) -> AsyncIterator[Happening]:
    """What happens to a request, `Ended` last, after `seconds` at most. A Piece is the next of its answer."""
    waiter, said = begun.waiter, 0
    if waiter is None or waiter.news is None:
        yield Ended(begun.result)
        return
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + seconds
    while not waiter.result.done() and (left := ends_at - loop.time()) > 0:
        news = await _next(waiter.news, min(QUIET_S, left))
        if isinstance(news, Chunk):
            if news.at == said:
                said += news.size
                yield news.piece
        elif news is not None:
            yield news
    yield Ended(await wait(begun, LAST_LOOK_S))


async def _next(news: "asyncio.Queue[News]", seconds: float) -> News | Quiet:
    try:
        async with asyncio.timeout(seconds):
            return await news.get()
    except TimeoutError:
        return Quiet()


async def events(begun: Begun, happenings: AsyncIterator[Happening], request_id: str) -> AsyncIterator[bytes]:
    """Server-sent events of POST /v1/analyze: accepted, waiting, running, delta, tool_call; then result, error or
    pending."""
    yield event("accepted", outcome.accepted(begun.id, "accepted"))
    async for happening in happenings:
        match happening:
            case Standing():
                yield event(happening.name, _standing(begun.id, happening))
            case str():
                yield event("delta", orjson.dumps({"text": happening}))
            case ToolPiece():
                yield event("tool_call", _of_call(happening))
            case Quiet():
                yield KEEP_ALIVE
            case Ended():
                yield _end(begun.id, happening.result, request_id)


def _of_call(piece: ToolPiece) -> bytes:
    named = {} if piece.name is None else {"id": piece.id, "name": piece.name}
    return orjson.dumps({"index": piece.index, **named, "arguments": piece.arguments})


def _standing(id: str, standing: Standing) -> bytes:
    said: dict[str, Any] = {"id": id, "status": standing.name, "links": outcome.links(id)}
    if standing.reason is not None and standing.until is not None:
        said |= {"reason": standing.reason, "until": format_time(standing.until)}
    return orjson.dumps(said)


def _end(id: str, result: bytes | None, request_id: str) -> bytes:
    if result is None:
        return event("pending", outcome.accepted(id, "accepted"))
    fields = orjson.loads(result)
    if fields["status"] == "completed":
        return event("result", result)
    return event("error", problems.body(outcome.problem_of(fields), request_id))


def event(name: str, data: bytes) -> bytes:
    """One server-sent event (WHATWG HTML, 9.2); `data` is JSON without line breaks."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), data)


class EventStream(StreamingResponse):
    """Sends server-sent events and lets go of the waiter, however it ends."""

    def __init__(self, stream: AsyncIterator[bytes], begun: Begun) -> None:
        headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        super().__init__(stream, headers=headers, media_type="text/event-stream")
        self._begun = begun

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._begun:
            await super().__call__(scope, receive, send)
