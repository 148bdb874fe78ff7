"""A minimal OpenAI-compatible endpoint for speed measurements: one fixed answer, as cheaply as Python can give it.

`python -m benchmarks.stub --port N --latency-ms 0` answers every POST after the latency; `GET /count` gives
`{"calls", "max_in_flight"}`, `GET /reset?latency_ms=L` sets them back and changes the latency. Requests may be
pipelined: a connection answers in the order in which it was asked. Everything that is not speed is in
`ops.local.provider`.
"""

import argparse
import asyncio
import json
import signal
from collections import deque
from typing import cast

CONTENT = '{"name":"Ann","score":7,"summary":"a stub answer of a typical small size, some words more"}'
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_LARGEST_HEAD = 65_536


def answer(content: str) -> bytes:
    """The whole response, head and body, that answers a chat completion with `content`."""
    message = {"role": "assistant", "content": content, "refusal": None}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-4o-mini",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000},
    }
    return _response(json.dumps(body, separators=(",", ":")).encode())


def _response(body: bytes, status: bytes = b"200 OK") -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % (status, len(body))
    return head + body


class Stub:
    """What all connections share: the answer, the latency in seconds, and the counts."""

    def __init__(self, content: str = CONTENT, latency: float = 0.0) -> None:
        self.answer = answer(content)
        self.latency = latency
        self.calls = 0
        self.in_flight = 0
        self.max_in_flight = 0

    def local(self, target: bytes) -> bytes:
        """The response to a GET."""
        path, _, query = target.partition(b"?")
        if path == b"/count":
            return _response(json.dumps({"calls": self.calls, "max_in_flight": self.max_in_flight}).encode())
        if path == b"/reset":
            self.calls = self.max_in_flight = 0
            if query.startswith(b"latency_ms="):
                self.latency = float(query.removeprefix(b"latency_ms=")) / 1000
            return _response(b"{}")
        if path in (b"/healthz", b"/v1/models"):
            return _response(b'{"object":"list","data":[{"id":"gpt-4o-mini","object":"model","owned_by":"stub"}]}')
        return _response(b'{"error":{"message":"no such route"}}', b"404 Not Found")


class Connection(asyncio.Protocol):
    """One keep-alive connection. Answers leave in the order of the requests, whatever each has to wait for."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._due: deque[bytes] = deque()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def connection_lost(self, _error: Exception | None) -> None:
        self._stub.in_flight -= len(self._due)
        self._due.clear()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        while (taken := self._take(received)) > 0:
            received = received[taken:] if taken < len(received) else b""
        self._received = received

    def _take(self, received: bytes) -> int:
        """Answers the first whole request in `received`; returns its size, 0 when it is not whole yet."""
        head_end = received.find(_HEAD_END)
        if head_end < 0:
            if len(received) > _LARGEST_HEAD:
                self._refuse(b"431 Request Header Fields Too Large")
            return 0
        head = received[:head_end].lower()
        if head.startswith(b"get "):
            self._later(self._stub.local(head.split(b" ", 2)[1]), 0.0)
            return head_end + len(_HEAD_END)
        at = head.find(_LENGTH)
        if at < 0:
            self._refuse(b"411 Length Required")
            return 0
        line_end = head.find(b"\r\n", at)
        size = head_end + len(_HEAD_END) + int(head[at + len(_LENGTH) : line_end if line_end > 0 else None])
        if len(received) < size:
            return 0
        self._stub.calls += 1
        self._later(self._stub.answer, self._stub.latency)
        return size

    def _later(self, response: bytes, latency: float) -> None:
        if latency == 0 and not self._due and self._transport is not None:
            self._transport.write(response)
            return
        stub = self._stub
        self._due.append(response)
        stub.in_flight += 1
        stub.max_in_flight = max(stub.max_in_flight, stub.in_flight)
        self._loop.call_later(latency, self._send_next)

    def _send_next(self) -> None:
        """One timer, one answer: as many leave as are due, always the oldest first."""
        if self._due and self._transport is not None:
            self._stub.in_flight -= 1
            self._transport.write(self._due.popleft())

    def _refuse(self, status: bytes) -> None:
        if self._transport is not None:
            self._transport.write(_response(b'{"error":{"message":"refused"}}', status))
            self._transport.close()


async def serve(stub: Stub, host: str, port: int) -> asyncio.Server:
    """Listens on host and port (0 takes a free one)."""
    return await asyncio.get_running_loop().create_server(lambda: Connection(stub), host, port, backlog=4096)


async def _run(stub: Stub, host: str, port: int) -> None:
    server = await serve(stub, host, port)
    print(f"stub ready http://{host}:{server.sockets[0].getsockname()[1]}/v1", flush=True)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await stopped.wait()
    server.close()


def main() -> None:
    """Reads the command line and serves until SIGTERM or SIGINT."""
    import uvloop

    parser = argparse.ArgumentParser(prog="python -m benchmarks.stub", description="A fixed answer, cheaply.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--content", default=CONTENT, help="the content of the answer's message")
    arguments = parser.parse_args()
    stub = Stub(arguments.content, arguments.latency_ms / 1000)
    uvloop.run(_run(stub, arguments.host, arguments.port))


if __name__ == "__main__":
    main()
