"""Calls that somebody else has answered, and that are to go on here while a better lane is in use."""

import asyncio
from collections import deque
from collections.abc import Callable

LONGEST_S = 1.0
"""A call waits no longer than this and once more as long: what holds the places may itself wait for one that waits."""


class Returning:
    """They go on in the order in which they were answered, each as there is a place for it.

    place: whether so many more than those in hand may be there. Whoever may have made a place calls `go_on`.
    """

    def __init__(self, place: Callable[[int], bool]) -> None:
        self._place = place
        self._waiting: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def turn(self) -> None:
        """At once where nobody waits and there is a place: whoever asks is in hand by now."""
        if not self._waiting and self._place(0):
            return
        loop = asyncio.get_running_loop()
        mine = loop.time(), loop.create_future()
        self._waiting.append(mine)
        if self._timer is None:
            self._timer = loop.call_later(LONGEST_S, self._look, loop)
        try:
            await mine[1]
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            raise

    def go_on(self) -> None:
        """As many as there are places."""
        while self._waiting and self._place(1):
            self._pass()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Whoever has waited for too long goes on without a place."""
        before = loop.time() - LONGEST_S
        while self._waiting and self._waiting[0][0] <= before:
            self._pass()
        self._timer = loop.call_later(LONGEST_S, self._look, loop) if self._waiting else None

    def _pass(self) -> None:
        _, turn = self._waiting.popleft()
        if not turn.done():
            turn.set_result(None)
