"""A client waits for a dependency, but not for ever."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from api import problems

Value = TypeVar("Value")
PATIENCE_S = 1.8
"""For what a client waits for: it gets its 503 within two seconds."""
GIVE_UP_AT = "structured_prompt.give_up_at"
"""In a request's scope: when that is, on the event loop's clock. What its body takes to come does not count."""
LEDGER = "the ledger"


async def within(call: Awaitable[Value], seconds: float, what: str) -> Value:
    """The call's answer, or a 503 that says what did not answer in `seconds`."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError:
        raise problems.unavailable(f"{what} does not answer; try again") from None
