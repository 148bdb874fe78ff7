"""The in-memory twin of the channel for text on its way: one queue an instance, bounded like the real one."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

from domain.ports import Chunk

KEPT = 10_000


class MemoryChunks:
    """Implements Chunks."""

    def __init__(self) -> None:
        self._kept: dict[str, deque[Chunk]] = {}
        self._sent = asyncio.Condition()

    async def send(self, batch: Sequence[Chunk]) -> list[None]:
        for chunk in batch:
            self._kept.setdefault(chunk.instance, deque(maxlen=KEPT)).append(chunk)
        async with self._sent:
            self._sent.notify_all()
        return [None] * len(batch)

    async def listen(self, instance: str) -> AsyncIterator[Chunk]:
        kept = self._kept.setdefault(instance, deque(maxlen=KEPT))
        while True:
            while kept:
                yield kept.popleft()
            async with self._sent:
                await self._sent.wait_for(lambda: bool(kept))
