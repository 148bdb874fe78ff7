"""The fleet's exact answers in Redis: one MGET to read a batch, one script to write it."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import cast

from connectors.redis.client import RedisClient

PREFIX = "sp:cache:"
# larger answers are cheaper to ask for again than to move; what is longer is not kept
MAX_VALUE_BYTES = 1024 * 1024
_PUT = Path(__file__).with_name("put.lua")


class RedisCache:
    """Implements Cache. Raises Unavailable; values above 1 MiB and a TTL of nothing are not kept."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client
        self._put = client.redis.register_script(_PUT.read_text())

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        if not keys:
            return []
        names = [PREFIX + key for key in keys]
        answer = await self._client.run("read the cache", lambda: self._client.redis.mget(names))
        return cast(list[bytes | None], answer)

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None:
        milliseconds = int(ttl.total_seconds() * 1000)
        kept = [(key, value) for key, value in entries if len(value) <= MAX_VALUE_BYTES]
        if not kept or milliseconds <= 0:
            return
        keys = [PREFIX + key for key, _ in kept]
        arguments: list[int | bytes] = [milliseconds, *(value for _, value in kept)]
        await self._client.run("write the cache", lambda: self._put(keys, arguments))
