"""Whether what somebody held is freed when it is let go, and not by the collector some time later."""

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable
from typing import Any


class Held(list[Any]):
    """What a request holds; a list alone cannot be seen to go."""


async def is_freed_after(use: Callable[[Held], Awaitable[None]]) -> bool:
    """Whether nothing that `use` left behind, in a failure and its traceback, leads back to what it was given."""
    held = Held()
    seen = weakref.ref(held)
    gc.disable()
    try:
        await use(held)
        del held
        await asyncio.sleep(0)  # what woke this task knows a failure as well
        return seen() is None
    finally:
        gc.enable()
