"""Waiting for a dependency with something in hand that was paid for."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import stamina

from domain.errors import Unavailable

T = TypeVar("T")


async def persist(work: Callable[[], Awaitable[T]]) -> T:
    """Until it is stored: what was paid for stays in memory while a dependency is away."""
    with suppress(Unavailable):
        return await work()
    async for trial in stamina.retry_context(on=Unavailable, attempts=None, timeout=None, wait_max=2.0):
        with trial:
            return await work()
    raise AssertionError("unreachable: attempts are unlimited")
