"""What every channel for text on its way does: each instance hears its own, in order, from the first of it on."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from connectors.memory.chunks import MemoryChunks
from connectors.redis.chunks import RedisChunks
from connectors.redis.client import RedisClient
from domain.ports import Chunk, Chunks
from domain.routing.model import ToolPiece


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def chunks(request: pytest.FixtureRequest) -> AsyncIterator[Chunks]:
    if request.param == "memory":
        yield MemoryChunks()
        return
    client = RedisClient(request.getfixturevalue("redis_url"))
    yield RedisChunks(client)
    await client.close()


async def heard(chunks: Chunks, instance: str, count: int) -> list[Chunk]:
    found = []
    async with asyncio.timeout(10):
        async for chunk in chunks.listen(instance):
            found.append(chunk)
            if len(found) == count:
                break
    return found


async def test_each_instance_hears_its_own_text_in_order(chunks: Chunks) -> None:
    listening = asyncio.create_task(heard(chunks, "api-1", 3))
    first = [Chunk("api-1", "acme", "a", 0, "Grüße\n"), Chunk("api-2", "acme", "b", 0, "other")]
    later = [Chunk("api-1", "acme", "a", 6, "“two”"), Chunk("api-1", "zeta", "a", 0, "three")]
    assert await chunks.send(first) == [None, None]
    await asyncio.sleep(0.01)
    await chunks.send(later)
    assert await listening == [first[0], *later]


async def test_pieces_of_calls_come_as_they_were(chunks: Chunks) -> None:
    pieces = ["One.", ToolPiece(0, "", "call_1", "track"), ToolPiece(0, '{"n":'), ToolPiece(1, "{}", None, "other")]
    sent, at = [], 0
    for piece in pieces:
        sent.append(Chunk("api-4", "acme", "a", at, piece))
        at += sent[-1].size
    await chunks.send(sent)
    assert await heard(chunks, "api-4", 4) == sent
    assert [chunk.at for chunk in sent] == [0, 4, 5, 11]


async def test_text_from_before_somebody_listened_is_heard(chunks: Chunks) -> None:
    sent = [Chunk("api-3", "acme", "a", at, "x") for at in range(5)]
    await chunks.send(sent)
    assert await heard(chunks, "api-3", 5) == sent
