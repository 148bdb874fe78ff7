"""Which connections are closed from inside."""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_network

import pytest

from api.main import MAX_CONCURRENT, places
from api.shield.connections import Bounds, Closer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a connection received")


class Line:
    """A server's socket, and as many connections to it as are wanted; both ends of each."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        self.port = int(self._server.getsockname()[1])

    def connect(self, said: bytes = b"") -> tuple[socket.socket, socket.socket]:
        client = self._stack.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=2))
        client.sendall(said)
        return client, self._stack.enter_context(self._server.accept()[0])


@pytest.fixture
def line() -> Iterator[Line]:
    with ExitStack() as stack:
        yield Line(stack)


def is_open(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) != b""
    except BlockingIOError:
        return True


async def test_an_address_has_so_many_connections_at_once(line: Line) -> None:
    clients = [line.connect(b"GET / HTTP/1.1\r\nHost: door\r\n\r\n")[0] for _ in range(5)]
    assert await Closer(line.port, Bounds(10, 3)).look() == 2
    time.sleep(0.05)
    assert sum(map(is_open, clients)) == 3


async def test_connections_of_the_operators_proxies_are_left_alone(line: Line) -> None:
    clients = [line.connect()[0] for _ in range(5)]
    assert await Closer(line.port, Bounds(0, 3, (ip_network("127.0.0.0/8"),))).look() == 0
    assert all(map(is_open, clients))


async def test_the_one_that_says_nothing_is_closed_and_the_one_that_waits_for_its_answer_is_not(line: Line) -> None:
    speaker, _ = line.connect(b"GET /v1/jobs HTTP/1.1\r\nHost: door\r\n\r\n")
    silent, _ = line.connect(b"P")
    closer = Closer(line.port, Bounds(0.1, 100))
    assert await closer.look() == 0, "not yet"
    time.sleep(0.2)
    assert await closer.look() == 1
    time.sleep(0.05)
    assert (is_open(speaker), is_open(silent)) == (True, False)


async def test_where_no_byte_is_ever_counted_nobody_is_silent(line: Line) -> None:
    client, _ = line.connect()
    time.sleep(0.1)
    assert await Closer(line.port, Bounds(0.01, 100)).look() == 0
    assert is_open(client)


async def test_other_ports_are_not_looked_at(line: Line) -> None:
    client, _ = line.connect()
    assert await Closer(line.port + 1, Bounds(0, 0)).look() == 0
    assert is_open(client)


@pytest.mark.parametrize(
    ("descriptors", "expected"), [(-1, MAX_CONCURRENT), (1_000_000, MAX_CONCURRENT), (1024, 768), (8, 16)]
)
def test_no_more_connections_are_taken_than_there_are_descriptors(descriptors: int, expected: int) -> None:
    assert places(descriptors) == expected
