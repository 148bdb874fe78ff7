"""One pool of connections to Redis, with short time-outs and a circuit: a dead Redis costs one time-out a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from domain.errors import Unavailable

T = TypeVar("T")
TIMEOUT_S = 0.25
OPEN_S = 1.0


class RedisClient:
    """Shared by everything of a process that talks to one Redis.

    `run` answers within `timeout_s` or raises Unavailable. After a failure it refuses at once for a second, then lets
    one caller try.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout_s: float = TIMEOUT_S,
        connections: int = 16,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self._timeout_s = timeout_s
        self._clock = clock
        self._closed_from = 0.0
        self._dead = False
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=connections,
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self.redis = Redis.from_pool(pool)

    async def run(self, what: str, command: Callable[[], Awaitable[T]]) -> T:
        """The answer of `command`. Raises Unavailable; `what` names the attempt in its message."""
        self._enter(what)
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await command()
        except ResponseError as error:
            raise Unavailable(f"{what}: Redis refused: {error}; look at its log and memory") from error
        except (RedisError, OSError, TimeoutError, RuntimeError) as error:
            # RuntimeError is uvloop's word for a connection that was reset a moment ago
            self._dead = True
            self._closed_from = self._clock() + OPEN_S
            reason = str(error) or f"no answer within {self._timeout_s:g} s"
            raise Unavailable(f"{what}: Redis does not answer ({reason}); check REDIS_URL and the server") from error
        self._dead = False
        return answer

    async def ping(self) -> None:
        """Raises Unavailable when Redis does not answer."""
        await self.run("ping", self.redis.ping)

    async def close(self) -> None:
        await self.redis.aclose()

    def _enter(self, what: str) -> None:
        if not self._dead:
            return
        now = self._clock()
        if now < self._closed_from:
            wait = self._closed_from - now
            raise Unavailable(f"{what}: not tried, Redis did not answer less than {OPEN_S:g} s ago", retry_after=wait)
        # this caller tries; the others stay out until it knows
        self._closed_from = now + OPEN_S
