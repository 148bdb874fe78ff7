"""Answers on their way to API instances: one Redis stream an instance, a whole batch in one entry of it.

An entry is JSON, [[tenant, id, place, text], ...]; of a call of a tool it has [index, arguments, id, name], null where
it is not named, in place of the text. The stream is trimmed and forgotten a minute after the last entry: what is lost
there comes with the result.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from connectors.redis.client import RedisClient
from domain.errors import Unavailable
from domain.ports import Chunk
from domain.routing.model import Piece, ToolPiece

STREAM = "sp:chunks:"
KEPT_ENTRIES = 1_000
KEPT_S = 60
BLOCK_MS = 2_000
READ_S = BLOCK_MS / 1_000 + 2
CONNECT_S = 1.0
ENTRIES = 100
_Packed = str | tuple[int, str, str | None, str | None]


class RedisChunks:
    """Implements Chunks. `listen` has a connection of its own and raises Unavailable when it breaks."""

    def __init__(self, client: RedisClient) -> None:
        self._client = client

    async def send(self, batch: Sequence[Chunk]) -> list[None]:
        by_instance: dict[str, list[tuple[str, str, int, _Packed]]] = {}
        for chunk in batch:
            packed = (chunk.tenant, chunk.id, chunk.at, _packed(chunk.piece))
            by_instance.setdefault(chunk.instance, []).append(packed)
        pipeline = self._client.redis.pipeline(transaction=False)
        for instance, chunks in by_instance.items():
            entry = {b"c": orjson.dumps(chunks)}
            pipeline.xadd(STREAM + instance, entry, maxlen=KEPT_ENTRIES, approximate=True)  # type: ignore[arg-type]
            pipeline.expire(STREAM + instance, KEPT_S)
        await self._client.run("send text to waiting API instances", pipeline.execute)
        return [None] * len(batch)

    async def listen(self, instance: str) -> AsyncIterator[Chunk]:
        redis = Redis.from_url(
            self._client.url, socket_connect_timeout=CONNECT_S, socket_timeout=READ_S,
            retry=Retry(NoBackoff(), 0), protocol=2,
        )  # fmt: skip
        last = b"0"
        try:
            while True:
                found: Any = await redis.xread({STREAM + instance: last}, count=ENTRIES, block=BLOCK_MS)
                entries = found[0][1] if found else []
                for chunk in _unpacked(instance, entries):
                    yield chunk
                last = entries[-1][0] if entries else last
        except (RedisError, OSError, TimeoutError) as error:
            raise Unavailable(f"listen for text: Redis does not answer ({error}); check REDIS_URL") from error
        finally:
            await redis.aclose()


def _packed(piece: Piece) -> _Packed:
    return piece if isinstance(piece, str) else (piece.index, piece.arguments, piece.id, piece.name)


def _unpacked(instance: str, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> list[Chunk]:
    return [
        Chunk(instance, tenant, id, at, packed if isinstance(packed, str) else ToolPiece(*packed))
        for _, fields in entries
        for tenant, id, at, packed in orjson.loads(fields[b"c"])
    ]
