"""prompt.control on the broker in memory."""

import asyncio

from connectors.memory.broker import MemoryBroker
from topics.table import CONTROL

_WAIT_S = 0.2


class MemoryChanges:
    """Implements domain.ports.Changes."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker
        self._seen = 0

    async def so_far(self) -> list[bytes]:
        return self._new()

    async def more(self) -> list[bytes]:
        found = self._new()
        if not found:
            try:
                async with asyncio.timeout(_WAIT_S):
                    await self._broker.grown()
            except TimeoutError:
                return []
        return found or self._new()

    def _new(self) -> list[bytes]:
        values = self._broker.values(CONTROL)
        found, self._seen = values[self._seen :], len(values)
        return found
