"""What every reply channel does: it wakes who listens, and loses nothing but what nobody listened to."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.memory.replies import MemoryReplies
from connectors.redis.client import RedisClient
from connectors.redis.replies import CHANNEL, MAX_MESSAGE_BYTES, RedisReplies
from domain.ports import Replies, Reply


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def replies(request: pytest.FixtureRequest) -> AsyncIterator[Replies]:
    if request.param == "memory":
        yield MemoryReplies()
        return
    client = RedisClient(request.getfixturevalue("redis_url"))
    yield RedisReplies(client)
    await client.close()


class Listener:
    """Collects what one instance hears."""

    def __init__(self, replies: Replies, instance: str) -> None:
        self.heard: asyncio.Queue[Reply] = asyncio.Queue()
        self._instance = instance
        self._replies = replies
        self._task = asyncio.create_task(self._collect())

    async def _collect(self) -> None:
        async for reply in self._replies.listen(self._instance):
            await self.heard.put(reply)

    async def ready(self) -> None:
        """Returns once the channel is heard: a greeting is repeated until it arrives."""
        while True:
            await self._replies.notify([Reply(self._instance, "acme", "greeting", b"")])
            try:
                async with asyncio.timeout(0.1):
                    await self.heard.get()
                    break
            except TimeoutError:
                continue

    async def next(self) -> Reply:
        async with asyncio.timeout(10):
            while (reply := await self.heard.get()).id == "greeting":
                pass
            return reply

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


async def test_each_instance_hears_its_own_replies_byte_for_byte(replies: Replies) -> None:
    first, second = Listener(replies, "api-1"), Listener(replies, "api-2")
    await first.ready()
    await second.ready()
    sent = [
        Reply("api-1", "acme", "a", b'{"output": "\xc3\xbc\\n", "n": 1.0}'),
        Reply("api-2", "acme", "b", b"line\nbreaks\n"),
        Reply("api-1", "zeta", "c", b""),
    ]
    await replies.notify(sent)
    assert [await first.next(), await first.next()] == [sent[0], sent[2]]
    assert await second.next() == sent[1]
    await first.stop()
    await second.stop()


async def test_large_results_arrive_whole_and_in_order(replies: Replies) -> None:
    listener = Listener(replies, "api-1")
    await listener.ready()
    sent = [Reply("api-1", "acme", str(n), bytes([n]) * (MAX_MESSAGE_BYTES // 2 + n)) for n in range(5)]
    await replies.notify(sent)
    assert [await listener.next() for _ in sent] == sent
    await listener.stop()


async def test_notifying_nobody_is_fine(replies: Replies) -> None:
    await replies.notify([])
    await replies.notify([Reply("gone", "acme", "a", b"{}")])
    listener = Listener(replies, "api-1")
    await listener.ready()
    sent = Reply("api-1", "acme", "b", b"{}")
    await replies.notify([Reply("gone", "acme", "a", b"{}"), sent])
    assert await listener.next() == sent
    await listener.stop()


@pytest.mark.integration
async def test_a_lost_subscription_comes_back_and_says_that_it_was_away(redis_url: str) -> None:
    gaps: list[bool] = []
    client = RedisClient(redis_url)
    replies = RedisReplies(client, on_gap=lambda: gaps.append(True))
    listener = Listener(replies, "api-1")
    await listener.ready()
    assert gaps == []
    (subscriber,) = [c for c in await client.redis.client_list(_type="pubsub") if c["db"] == _number(redis_url)]
    await client.redis.client_kill_filter(_id=subscriber["id"])
    await listener.ready()
    assert gaps == [True]
    assert (await client.redis.pubsub_numsub(CHANNEL + "api-1"))[0][1] == 1
    await listener.stop()
    await client.close()


def _number(url: str) -> str:
    return url.rsplit("/", 1)[1]
