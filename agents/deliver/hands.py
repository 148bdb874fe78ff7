"""Batches that are on their way at the same time, and end in the order in which they began."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

Bring = Callable[[Awaitable[None] | None], Awaitable[None]]
"""Brings one batch to its end, which it may not reach before what it is given has, the end of the batch before."""


class Hands:
    """`most` at once; `failed` is called when one could not be brought to its end, after which none is begun."""

    def __init__(self, most: int, failed: Callable[[], None]) -> None:
        self._most = most
        self._failed = failed
        self._under_way: deque[asyncio.Future[None]] = deque()

    async def begin(self, bring: Bring) -> None:
        """Returns when another may begin. Raises what the first of them raised."""
        task = asyncio.ensure_future(bring(self._under_way[-1] if self._under_way else None))
        task.add_done_callback(self._look)
        self._under_way.append(task)
        await self.end(self._most - 1)

    async def end(self, left: int = 0) -> None:
        """Until only so many are under way. Raises what the first of them raised."""
        while len(self._under_way) > left:
            await self._under_way[0]
            self._under_way.popleft()

    async def drop(self) -> None:
        """Whatever is still under way ends here, without its end."""
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def _look(self, task: "asyncio.Future[None]") -> None:
        if not task.cancelled() and task.exception() is not None:
            self._failed()
