"""The prototype's POST: a body read, a row, a record, 202, on the same server and event loop as our API.

`python -m benchmarks.prototype.door --kafka … --database … --port …`. No keys, limits, checks, headers or metrics.
"""

import argparse
import hashlib
from collections.abc import Sequence
from typing import Any

import asyncpg
import orjson
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from benchmarks.prototype.outside import REQUESTS, Produced
from domain.batching import Batcher

SCHEMA = "CREATE TABLE jobs (id text PRIMARY KEY, hash bytea NOT NULL, body bytea NOT NULL)"
INSERT = "INSERT INTO jobs SELECT * FROM unnest($1::text[], $2::bytea[], $3::bytea[]) ON CONFLICT DO NOTHING"
Row = tuple[str, bytes, bytes]
ACCEPTED = {
    "type": "http.response.start", "status": 202,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")],
}  # fmt: skip


class Door:
    """An ASGI application."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", produced: Produced) -> None:
        self._pool = pool
        self._rows: Batcher[Row, None] = Batcher(self._insert)
        self._records: Batcher[tuple[str, bytes, bytes], None] = Batcher(self._send)
        self._produced = produced

    async def __call__(self, _scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        id = orjson.loads(body)["id"]
        await self._rows.submit((id, hashlib.sha256(body).digest(), body))
        await self._records.submit((REQUESTS, id.encode(), body))
        await send(ACCEPTED)
        await send({"type": "http.response.body", "body": b"{}"})

    async def _insert(self, rows: Sequence[Row]) -> list[None]:
        await self._pool.execute(INSERT, *(list(column) for column in zip(*rows, strict=True)))
        return [None] * len(rows)

    async def _send(self, records: Sequence[tuple[str, bytes, bytes]]) -> list[None]:
        await self._produced.send(records)
        return [None] * len(records)


async def serve(kafka: str, database: str, port: int) -> None:
    pool = await asyncpg.create_pool(database, min_size=4, max_size=8)
    door = Door(pool, Produced(kafka))
    await Server(
        door, "127.0.0.1", port, interface=Interfaces.ASGINL, http=HTTPModes.auto, websockets=False, log_enabled=False
    ).serve()  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--kafka", "--database", "--port"):
        parser.add_argument(name, required=True)
    given = parser.parse_args()
    uvloop.run(serve(given.kafka, given.database, int(given.port)))
