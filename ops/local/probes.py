"""Does it serve? One question in each engine's own protocol, with nothing but the standard library.

The supervisor stays small (it is one more process on a laptop), so it imports no client. Every probe opens one
connection to 127.0.0.1, and raises OSError or EOFError (IncompleteReadError) when nobody answers.
"""

import asyncio
import ssl
import struct

from .program import Probe

HOST = "127.0.0.1"


async def exchange(port: int, request: bytes, read: int) -> bytes:
    """Send `request`, read exactly `read` bytes."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(request)
        return await reader.readexactly(read)
    finally:
        writer.close()


async def http_get(port: int, path: str, *, limit: int = 4 << 20) -> tuple[int, bytes]:
    """Status and body of a plain GET."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while chunk := await reader.read(65_536):
            answer += chunk
            if len(answer) > limit:
                break
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b" ", 2)
    if len(words) < 2 or not words[1].isdigit():
        raise ValueError(f"127.0.0.1:{port} does not speak HTTP")
    return int(words[1]), body


def http(port: int, path: str) -> Probe:
    """200 on GET `path`."""

    async def probe() -> bool:
        status, _ = await http_get(port, path)
        return status == 200

    return probe


async def shakes_hands(port: int, domain: str, trusted: ssl.SSLContext) -> bool:
    """Whether the port speaks TLS as `domain`; an untrusted certificate is an OSError."""
    _, writer = await asyncio.open_connection(HOST, port, ssl=trusted, server_hostname=domain)
    writer.close()
    return True


def listening(port: int) -> Probe:
    """Somebody takes connections."""

    async def probe() -> bool:
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        return True

    return probe


def kafka(port: int) -> Probe:
    """An answer to ApiVersions (key 18, version 0): the broker takes requests only once it is unfenced."""
    body = struct.pack(">hhih", 18, 0, 7, -1)
    request = struct.pack(">i", len(body)) + body

    async def probe() -> bool:
        answer = await exchange(port, request, 10)
        _, correlation, error = struct.unpack(">iih", answer)
        return bool(correlation == 7 and error == 0)

    return probe


def postgres(port: int, user: str) -> Probe:
    """A demand for authentication ('R') after a startup message; an error ('E') while it still recovers."""
    words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", "postgres")) + b"\0"
    request = struct.pack(">ii", len(words) + 8, 196_608) + words

    async def probe() -> bool:
        return await exchange(port, request, 1) == b"R"

    return probe


def redis(port: int, password: str) -> Probe:
    """+PONG after AUTH; -LOADING while the append-only file is read."""
    request = f"AUTH {password}\r\nPING\r\n".encode()

    async def probe() -> bool:
        return await exchange(port, request, 12) == b"+OK\r\n+PONG\r\n"

    return probe
