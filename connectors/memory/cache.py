"""Answers in this process: least recently used, bounded in bytes."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import timedelta

# what an entry costs beside its key and value: two objects, a tuple, its place in the table
OVERHEAD_BYTES = 250


class MemoryCache:
    """Implements Cache. Holds at most `max_bytes`, overhead counted; `clock` gives seconds."""

    def __init__(self, max_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._entries: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    @property
    def bytes_held(self) -> int:
        return self._bytes

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        now = self._clock()
        return [self._get(key, now) for key in keys]

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None:
        seconds = ttl.total_seconds()
        if seconds <= 0:
            return
        expires = self._clock() + seconds
        for key, value in entries:
            self._drop(key)
            if _cost(key, value) <= self._max_bytes:
                self._entries[key] = (expires, value)
                self._bytes += _cost(key, value)
        while self._bytes > self._max_bytes:
            self._drop(next(iter(self._entries)))

    def _get(self, key: str, now: float) -> bytes | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= now:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _cost(key, entry[1])


def _cost(key: str, value: bytes) -> int:
    return len(key) + len(value) + OVERHEAD_BYTES
