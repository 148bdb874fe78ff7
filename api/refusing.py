"""An answer to a request whose body nobody wants."""

import asyncio
from contextlib import suppress

from starlette.types import Receive, Scope, Send

from api.problems import Problem
from api.rendering import render_for

REQUEST_ID = "structured_prompt.request_id"
DISCARDS = "structured_prompt.discards"
MAX_DISCARDED_BYTES = 16 * 1024 * 1024
DISCARD_S = 2.0


async def refuse(scope: Scope, receive: Receive, send: Send, problem: Problem) -> None:
    """Answer with the problem, before anything behind the caller sees the request."""
    await discard(scope, receive)
    await render_for(scope, problem, scope[REQUEST_ID])(scope, receive, send)


async def discard(scope: Scope, receive: Receive) -> None:
    """Throw away what the client is still sending, up to a bound.

    A connection that is closed on a client in the middle of its body is reset, and the client never sees the answer.
    One that asks first (`Expect: 100-continue`) is told without its body being taken.
    """
    if any(name == b"expect" for name, _ in scope["headers"]):
        return
    scope[DISCARDS] = True
    with suppress(TimeoutError, Problem):
        async with asyncio.timeout(DISCARD_S):
            await _discard(receive)


async def _discard(receive: Receive) -> None:
    left = MAX_DISCARDED_BYTES
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if not message.get("more_body", False):
            return
