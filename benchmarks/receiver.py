"""A receiver of webhooks that costs as little as one in Python can: `python -m benchmarks.receiver PORT`.

`/in/NAME` answers 204 and remembers how long after it was sent each delivery came; `/hang` never answers, `/drip` sends
a byte of its head now and then, `/error` answers 500. `GET /seen/NAME` tells the milliseconds, in the order they came.
"""

import asyncio
import re
import sys
import time
from collections import defaultdict
from typing import cast

import orjson
import uvloop

SENT = re.compile(rb'"sent":([0-9.]+)')
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
DRIP_S = 1.0


class Receiver(asyncio.Protocol):
    """One connection; requests come one after the other."""

    seen: defaultdict[str, list[float]] = defaultdict(list)

    def __init__(self) -> None:
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = LENGTH.search(self._buffer, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            head, body, self._buffer = self._buffer[:end], self._buffer[end + 4 : size], self._buffer[size:]
            self._answer(head.split(b" ", 2)[1].decode(), body)

    def _answer(self, path: str, body: bytes) -> None:
        kind, _, name = path.strip("/").partition("/")
        if kind == "in":
            if sent := SENT.search(body):
                self.seen[name].append(1000 * (time.time() - float(sent[1])))
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif kind == "seen":
            told = orjson.dumps(self.seen[name])
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(told), told))
        elif kind == "error":
            self._transport.write(b"HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")
        elif kind == "drip":
            self._transport.write(b"HTTP/1.1 200 OK\r\nx: ")
            self._drip()

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"x")
            asyncio.get_running_loop().call_later(DRIP_S, self._drip)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
