"""prompt.control as every process reads it: from its start on, without a group."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, TypeVar

from connectors.kafka.tail import Tail
from topics.table import CONTROL

_WAIT_S = 0.5
"""For how long a stop may have to wait."""
T = TypeVar("T")


class KafkaChanges:
    """Implements domain.ports.Changes. All reading is done by one thread of its own."""

    def __init__(self, connection: Mapping[str, Any], prefix: str = "") -> None:
        self._connection = connection
        self._prefix = prefix
        self._thread = ThreadPoolExecutor(1, "prompt-control")
        self._tail: Tail | None = None

    async def so_far(self) -> list[bytes]:
        return await self._in_thread(self._begin)

    async def more(self) -> list[bytes]:
        tail = self._tail
        return [] if tail is None else await self._in_thread(lambda: [item.value for item in tail.read(_WAIT_S)])

    async def close(self) -> None:
        if self._tail is not None:
            await self._in_thread(self._tail.close)
        self._thread.shutdown(wait=False)

    def _begin(self) -> list[bytes]:
        if self._tail is not None:
            self._tail.close()
        self._tail = Tail(self._connection, [CONTROL], datetime.fromtimestamp(0, UTC), self._prefix)
        return [item.value for item in self._tail.until_caught_up()]

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
