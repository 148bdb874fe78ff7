"""Work that holds the loop goes piece by piece, and whatever else is ready goes between two of them."""

import asyncio
import time
from collections import deque
from typing import Final

SHORT_S: Final = 0.002
"""A longer piece is followed by as much time for everybody else."""


class Turns:
    """In the order they came. A piece is what its owner does between the end of `next` and its own next wait."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._taken = False
        self._given_at = 0.0

    async def next(self) -> float:
        """Wait for a turn: none at all where nobody had one just now. Returns the seconds that took."""
        loop = asyncio.get_running_loop()
        came_at = loop.time()
        if self._taken:
            turn = loop.create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._give()
                raise
        self._taken, self._given_at = True, time.perf_counter()
        loop.call_soon(self._rest, loop)
        return loop.time() - came_at

    def _rest(self, loop: asyncio.AbstractEventLoop) -> None:
        held = time.perf_counter() - self._given_at
        if held > SHORT_S:
            loop.call_later(held, self._give)
        else:
            self._give()

    def _give(self) -> None:
        """To the first who still waits; it is resumed with everything else that is ready by then."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._taken = False
