"""A client of HTTP/1.1 that costs little: every connection sends its next request when the answer is there."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import cast
from urllib.parse import urlsplit

import uvloop

ACCEPTED = b"HTTP/1.1 202"


class Refused(RuntimeError):
    """An answer that is no 202."""


def post_all(urls: Sequence[str], headers: Sequence[str], bodies: Sequence[bytes], connections: int) -> float:
    """Seconds until all are answered; the connections are dealt to the URLs in turn. Raises Refused."""
    return uvloop.run(_post_all(urls, headers, bodies, connections))


async def _post_all(urls: Sequence[str], headers: Sequence[str], bodies: Sequence[bytes], connections: int) -> float:
    loop = asyncio.get_running_loop()
    places = [urlsplit(url) for url in urls]
    queues = [iter(bodies[number :: len(urls)]) for number in range(len(urls))]
    heads = [_head(place.path, place.netloc, headers) for place in places]
    began, ends = time.perf_counter(), []
    for number in range(connections):
        which = number % len(urls)
        _, one = await loop.create_connection(
            lambda which=which: _Connection(heads[which], queues[which]), places[which].hostname, places[which].port
        )
        ends.append(one.done)
    await asyncio.gather(*ends)
    return time.perf_counter() - began


def _head(path: str, host: str, headers: Sequence[str]) -> bytes:
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", "Content-Type: application/json", *headers, "Content-Length: "]
    return "\r\n".join(lines).encode()


class _Connection(asyncio.Protocol):
    """Answers have a Content-Length."""

    def __init__(self, head: bytes, bodies: Iterator[bytes]) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = head
        self._bodies = bodies
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        self._next()

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        if not separator or len(body) < _length(head):
            return
        if not head.startswith(ACCEPTED):
            self._fail(Refused(self._got.decode(errors="replace")[:2000]))
            return
        self._got = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(error or Refused("the connection was closed"))

    def _next(self) -> None:
        body = next(self._bodies, None)
        if body is not None:
            self._transport.write(b"%b%d\r\n\r\n%b" % (self._head, len(body), body))
            return
        if not self.done.done():
            self.done.set_result(None)
        self._transport.close()

    def _fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    raise Refused(head.decode(errors="replace"))
