"""The in-memory twin of the reply channel: listeners and notifiers in one process."""

import asyncio
from collections.abc import AsyncIterator, Sequence

from domain.ports import Reply


class MemoryReplies:
    """Implements Replies. Like the real one it tells only who listens at that moment."""

    def __init__(self) -> None:
        self._listeners: dict[str, set[asyncio.Queue[Reply]]] = {}

    async def notify(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            for queue in self._listeners.get(reply.instance, ()):
                queue.put_nowait(reply)

    def listen(self, instance: str) -> AsyncIterator[Reply]:
        """Registered from this call on, before the first reply is asked for."""
        queue: asyncio.Queue[Reply] = asyncio.Queue()
        self._listeners.setdefault(instance, set()).add(queue)
        return self._replies(instance, queue)

    async def _replies(self, instance: str, queue: asyncio.Queue[Reply]) -> AsyncIterator[Reply]:
        try:
            while True:
                yield await queue.get()
        finally:
            self._listeners[instance].discard(queue)
