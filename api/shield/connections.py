"""Closes connections that hold a place and do nothing, and those of an address that has too many.

granian limits connections as a whole, and waits without a time limit for the first bytes of one, since they tell
HTTP/1.1 from HTTP/2: a few thousand silent connections would keep everybody out. What the kernel counts for each
(TCP_INFO) shows them. Linux only; elsewhere, and for what comes through the operator's proxies, nothing is closed.
"""

import asyncio
import os
import socket
import stat
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from domain.incoming.client import behind, is_trusted
from domain.outgoing.addresses import Network

LEAST_BYTES = 24
"""The preface of HTTP/2 has so many; no HTTP/1.1 request is shorter."""
LOOK_EVERY_S, SELDOM_S = 1.0, 10.0
SHARE = 0.02
"""Of a processor, at most."""
AT_ONCE = 50
"""Looked at before others have their turn."""
_OPEN = Path("/proc/self/fd")
_LAST_RECEIVED = struct.Struct("=52xI")  # tcpi_last_data_recv of struct tcp_info, in ms
_RECEIVED = struct.Struct("=128xQ")  # tcpi_bytes_received, since Linux 4.1
_INFO_BYTES = _RECEIVED.size


@dataclass(frozen=True, slots=True)
class Bounds:
    """`silent_s` for the first bytes of a connection; `per_address` connections at once."""

    silent_s: float
    per_address: int
    trusted: Sequence[Network] = ()


class Closer:
    """Of connections to `port`. A kernel that counts no bytes (some sandboxes) has no silent connections."""

    def __init__(self, port: int, bounds: Bounds) -> None:
        self._port = port
        self._bounds = bounds
        self._counts = False

    async def run(self) -> None:
        """Looks once a second, more seldom where there are many; until it is cancelled."""
        pause = LOOK_EVERY_S
        while sys.platform == "linux":
            await asyncio.sleep(pause)
            worked = time.thread_time()
            await self.look()
            pause = min(max((time.thread_time() - worked) / SHARE, LOOK_EVERY_S), SELDOM_S)

    async def look(self) -> int:
        """How many connections were closed."""
        closed, held = 0, Counter[str]()
        for number, connection in enumerate(_connections(self._port), 1):
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
            peer = str(connection.getpeername()[0])
            if is_trusted(peer, self._bounds.trusted):
                continue
            address = behind(peer, "", ())
            held[address] += 1
            if held[address] > self._bounds.per_address or self._silent(connection):
                # not closed: the server does that when it reads the end
                connection.shutdown(socket.SHUT_RDWR)
                closed += 1
        return closed

    def _silent(self, connection: socket.socket) -> bool:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        if len(info) < _INFO_BYTES:
            return False
        (received,), (idle_ms,) = _RECEIVED.unpack(info), _LAST_RECEIVED.unpack_from(info)
        self._counts = self._counts or received >= LEAST_BYTES
        return bool(self._counts and received < LEAST_BYTES and idle_ms > self._bounds.silent_s * 1000)


def _connections(port: int) -> Iterator[socket.socket]:
    """Each through a descriptor of its own: the server may close, and the system reuse, what was listed."""
    for name in os.listdir(_OPEN):
        with suppress(OSError), _duplicate(int(name)) as one:
            if _is_connection(one, port):
                yield one


def _is_connection(one: socket.socket, port: int) -> bool:
    if one.type != socket.SOCK_STREAM or one.family not in (socket.AF_INET, socket.AF_INET6):
        return False
    one.getpeername()  # raises OSError for the socket that listens
    return bool(one.getsockname()[1] == port)


def _duplicate(descriptor: int) -> socket.socket:
    if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
        raise OSError("no socket")
    return socket.socket(fileno=os.dup(descriptor))
