"""Wakes API instances over Redis publish/subscribe: one pipeline a batch, several replies a message.

A message is one line of JSON, [[tenant, id, size of the result], ...], then the results' bytes one after the other:
they travel as they were stored and nobody parses them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

import orjson
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from connectors.redis.client import RedisClient
from domain.ports import Reply

CHANNEL = "sp:replies:"
# Redis drops a subscriber that is 8 MB behind for a minute; small messages let it keep up
MAX_MESSAGE_BYTES = 1024 * 1024
# a silent connection is asked for a sign of life this often
SILENCE_S = 5.0
RETRY_S = 0.5
CONNECT_S = 1.0
ONCE = Retry(NoBackoff(), 0)

log = logging.getLogger(__name__)


def _ignore() -> None:
    """Nobody wants to know."""


class RedisReplies:
    """Implements Replies.

    `listen` never raises Unavailable: it reconnects. Replies sent meanwhile are lost; `on_gap` is called once the
    subscription stands again, so that waiters can look into the ledger.
    """

    def __init__(self, client: RedisClient, on_gap: Callable[[], None] = _ignore) -> None:
        self._client = client
        self._on_gap = on_gap

    async def notify(self, replies: Sequence[Reply]) -> None:
        if not replies:
            return
        pipeline = self._client.redis.pipeline(transaction=False)
        for instance, message in _packed(replies):
            pipeline.execute_command("PUBLISH", CHANNEL + instance, message)
        await self._client.run("wake the waiting API instances", pipeline.execute)

    async def listen(self, instance: str) -> AsyncIterator[Reply]:
        redis = Redis.from_url(
            self._client.url, socket_connect_timeout=CONNECT_S, socket_timeout=CONNECT_S, retry=ONCE, protocol=2
        )
        try:
            async for message in self._messages(redis, CHANNEL + instance):
                for reply in _unpack(instance, message):
                    yield reply
        finally:
            await redis.aclose()

    async def _messages(self, redis: Redis, channel: str) -> AsyncIterator[bytes]:
        """What is published on `channel`, over as many connections as it takes."""
        lost = False
        while True:
            try:
                async for message in self._subscribed(redis, channel, again=lost):
                    yield message
            except (RedisError, OSError, TimeoutError) as error:
                lost = True
                log.warning("replies: Redis does not answer (%s); subscribing again", error)
                await asyncio.sleep(RETRY_S)

    async def _subscribed(self, redis: Redis, channel: str, *, again: bool) -> AsyncIterator[bytes]:
        """What is published on `channel` while one connection lasts."""
        async with redis.pubsub() as subscription:
            await subscription.subscribe(channel)
            async for kind, data in _received(subscription):
                if kind == "message":
                    yield data
                elif kind == "subscribe" and again:
                    self._on_gap()


async def _received(subscription: PubSub) -> AsyncIterator[tuple[str, bytes]]:
    """(kind, data) as they come. Raises TimeoutError when the connection stays silent after a ping."""
    silent = False
    while True:
        message = await subscription.get_message(timeout=SILENCE_S)
        if message is not None:
            silent = False
            yield message["type"], message["data"]
        elif silent:
            raise TimeoutError(f"silent for {2 * SILENCE_S:g} s")
        else:
            silent = True
            await subscription.ping()


def _packed(replies: Sequence[Reply]) -> Iterator[tuple[str, bytes]]:
    """(instance, message) with as many replies in a message as MAX_MESSAGE_BYTES allows, one at least."""
    by_instance: dict[str, list[Reply]] = {}
    for reply in replies:
        by_instance.setdefault(reply.instance, []).append(reply)
    for instance, waiting in by_instance.items():
        part: list[Reply] = []
        size = 0
        for reply in waiting:
            if part and size + len(reply.result) > MAX_MESSAGE_BYTES:
                yield instance, _pack(part)
                part, size = [], 0
            part.append(reply)
            size += len(reply.result)
        yield instance, _pack(part)


def _pack(replies: Sequence[Reply]) -> bytes:
    index = orjson.dumps([(reply.tenant, reply.id, len(reply.result)) for reply in replies])
    return b"\n".join((index, b"".join(reply.result for reply in replies)))


def _unpack(instance: str, message: bytes) -> Iterator[Reply]:
    index, _, results = message.partition(b"\n")
    start = 0
    for tenant, id, size in orjson.loads(index):
        yield Reply(instance, tenant, id, results[start : start + size])
        start += size
