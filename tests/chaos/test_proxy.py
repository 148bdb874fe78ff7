"""The proxy breaks what it is told to break, and nothing else: the harness is only as true as its faults."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ops.local.ports import Ports
from tests.chaos.proxy import HOST, Faults


class Proxied:
    """An echo server behind the proxy."""

    def __init__(self, listen: int, faults: Faults) -> None:
        self.faults = faults
        self._listen = listen

    def connect(self) -> socket.socket:
        connection = socket.create_connection((HOST, self._listen), timeout=5)
        connection.settimeout(0.4)
        return connection


def _echo(server: socket.socket) -> None:
    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(65536):
                connection.sendall(data)

    with suppress(OSError):
        while True:
            threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    with socket.create_server((HOST, 0)) as server:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        ports = Ports(tmp_path / "ports.json")
        control, listen = ports.of("control"), ports.of("listen")
        route = f"echo={listen}:{server.getsockname()[1]}"
        command = [sys.executable, "-m", "tests.chaos.proxy", "--control", str(control), route]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"proxy ready\n"
            yield Proxied(listen, Faults(control))
        finally:
            process.kill()
            process.wait()


def _asks(connection: socket.socket, text: bytes) -> bytes:
    connection.sendall(text)
    return connection.recv(len(text), socket.MSG_WAITALL)


def test_it_passes_on_what_it_gets(proxied: Proxied) -> None:
    with proxied.connect() as connection:
        connection.settimeout(5)
        text = bytes(range(256)) * 4096
        threading.Thread(target=connection.sendall, args=(text,)).start()
        assert _all(connection, len(text)) == text


def _all(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += connection.recv(65536)
    return found


def test_refused_connections_are_refused_and_live_ones_reset(proxied: Proxied) -> None:
    with proxied.connect() as connection:
        assert _asks(connection, b"before") == b"before"
        proxied.faults.enter("echo", "refuse")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionRefusedError):
        proxied.connect()
    proxied.faults.enter("echo", "pass")
    with proxied.connect() as connection:
        assert _asks(connection, b"after") == b"after"


def test_in_a_black_hole_nothing_arrives_and_afterwards_everything_does(proxied: Proxied) -> None:
    with proxied.connect() as old:
        assert _asks(old, b"before") == b"before"
        proxied.faults.enter("echo", "blackhole")
        new = proxied.connect()
        for connection in (old, new):
            connection.sendall(b"lost?")
            with pytest.raises(TimeoutError):
                connection.recv(1)
        proxied.faults.enter("echo", "pass")
        assert [_all(connection, 5) for connection in (old, new)] == [b"lost?", b"lost?"]
        new.close()


def test_slow_is_late_by_so_much_each_way(proxied: Proxied) -> None:
    proxied.faults.enter("echo", "slow", 0.3)
    with proxied.connect() as connection:
        connection.settimeout(5)
        began = time.monotonic()
        assert _asks(connection, b"late") == b"late"
        assert time.monotonic() - began >= 0.6


def test_cut_resets_what_lives_and_lets_new_ones_in(proxied: Proxied) -> None:
    with proxied.connect() as connection:
        assert _asks(connection, b"before") == b"before"
        proxied.faults.cut("echo")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with proxied.connect() as connection:
        assert _asks(connection, b"after") == b"after"


def test_a_command_that_is_not_understood_is_an_error(proxied: Proxied) -> None:
    with pytest.raises(RuntimeError, match="no upstream nobody"):
        proxied.faults.cut("nobody")
    with pytest.raises(RuntimeError, match="not understood: echo explode"):
        proxied.faults.enter("echo", "explode")
