"""A TCP proxy that can break: `python -m tests.chaos.proxy --control PORT NAME=LISTEN:UPSTREAM …`, all on 127.0.0.1.

Control is a line protocol, one command a line, each answered by `ok` or `error: …`:
    NAME pass             as if it were not there
    NAME refuse           connections are refused, those that live are reset
    NAME blackhole        packets vanish both ways: what was sent arrives after the next `pass`, as TCP sends it again
    NAME slow SECONDS     every packet takes so much longer, each way
    NAME cut              reset the connections that live now; the mode stays
    ping                  nothing
A broker behind it must advertise the proxy's port, or its clients go around it.
"""

import argparse
import asyncio
import socket
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

HOST: Final = "127.0.0.1"
CHUNK: Final = 65_536
MODES: Final = ("pass", "refuse", "blackhole", "slow")


class Upstream:
    """One address behind the proxy, and how its connections fare."""

    def __init__(self, name: str, listen: int, upstream: int) -> None:
        self.name = name
        self.delay = 0.0
        self._listen, self._upstream = listen, upstream
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, HOST, self._listen, backlog=1024)

    async def enter(self, mode: str, delay: float = 0.0) -> None:
        """Fare so from now on."""
        self.delay = delay if mode == "slow" else 0.0
        if mode == "blackhole":
            self._open.clear()
        else:
            self._open.set()
        if mode == "refuse":
            if self._server is not None:
                self._server.close()
                self._server = None
            self.cut()
        else:
            await self.start()

    def cut(self) -> None:
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            await self._open.wait()
            there = await asyncio.open_connection(HOST, self._upstream)
        except OSError:
            self._writers.discard(writer)
            _reset(writer)
            return
        self._writers.add(there[1])
        try:
            await asyncio.gather(self._carry(reader, there[1]), self._carry(there[0], writer))
        except OSError:
            _reset(writer)
            _reset(there[1])
        finally:
            self._writers -= {writer, there[1]}
            writer.close()
            there[1].close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction. Packets are read at once and leave when they are due, so that slow is late and not narrow."""
        due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(256)
        leaving = asyncio.ensure_future(self._leave(due, writer))
        try:
            while data := await reader.read(CHUNK):
                await due.put((time.monotonic() + self.delay, data))
                if leaving.done():
                    break
            await due.put((time.monotonic() + self.delay, b""))
            await leaving
        finally:
            leaving.cancel()

    async def _leave(self, due: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        while True:
            at, data = await due.get()
            if (wait := at - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            await self._open.wait()
            if not data:
                if writer.can_write_eof():
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST, not FIN."""
    with suppress(OSError):
        connection = writer.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Control:
    """Reads commands and has them done."""

    def __init__(self, upstreams: Sequence[Upstream]) -> None:
        self._upstreams = {upstream.name: upstream for upstream in upstreams}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while line := await reader.readline():
                writer.write((await self._do(line.decode().split())).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _do(self, words: list[str]) -> str:
        match words:
            case ["ping"]:
                pass
            case [name, *_] if name not in self._upstreams:
                return f"error: no upstream {name}; there are {', '.join(self._upstreams)}"
            case [name, "cut"]:
                self._upstreams[name].cut()
            case [name, "slow", seconds]:
                await self._upstreams[name].enter("slow", float(seconds))
            case [name, mode] if mode in MODES and mode != "slow":
                await self._upstreams[name].enter(mode)
            case _:
                return f"error: not understood: {' '.join(words)}"
        return "ok"


async def _run(control: int, upstreams: Sequence[Upstream]) -> None:
    for upstream in upstreams:
        await upstream.start()
    server = await asyncio.start_server(Control(upstreams).serve, HOST, control)
    print("proxy ready", flush=True)
    await server.serve_forever()


class Faults:
    """The proxy's control, for whoever breaks things. Blocking; every method raises RuntimeError when it is refused."""

    def __init__(self, control: int) -> None:
        self._control = control

    def enter(self, name: str, mode: str, seconds: float | None = None) -> None:
        """`mode`: pass, refuse, blackhole or slow, which takes `seconds`."""
        self._tell(f"{name} {mode}" + (f" {seconds}" if seconds is not None else ""))

    def cut(self, name: str) -> None:
        self._tell(f"{name} cut")

    def _tell(self, line: str) -> None:
        with socket.create_connection((HOST, self._control), timeout=5) as connection:
            connection.sendall(line.encode() + b"\n")
            answer = connection.makefile().readline().strip()
        if answer != "ok":
            raise RuntimeError(f"the fault proxy, told `{line}`: {answer or 'no answer'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--control", type=int, required=True)
    parser.add_argument("upstreams", nargs="+", metavar="NAME=LISTEN:UPSTREAM")
    arguments = parser.parse_args()

    async def run() -> None:
        upstreams = []
        for text in arguments.upstreams:
            name, _, ports = text.partition("=")
            listen, _, upstream = ports.partition(":")
            upstreams.append(Upstream(name, int(listen), int(upstream)))
        await _run(arguments.control, upstreams)

    try:
        import uvloop
    except ImportError:
        asyncio.run(run())
    else:
        uvloop.run(run())


if __name__ == "__main__":
    sys.exit(main())
