"""The stub of the speed measurements answers every request, in order."""

import asyncio

import orjson
import pytest

from benchmarks.stub import Stub, serve

BODY = b'{"model":"m"}'
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


async def _exchange(stub: Stub, parts: list[bytes], answers: int) -> list[bytes]:
    """Sends the parts one by one on one connection; returns the bodies of as many answers."""
    server = await serve(stub, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    for part in parts:
        writer.write(part)
        await writer.drain()
    bodies = []
    for _ in range(answers):
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        bodies.append(await reader.readexactly(size))
    writer.close()
    server.close()
    return bodies


async def test_pipelined_and_divided_requests_are_each_answered() -> None:
    stub = Stub()
    stream = REQUEST * 5
    bodies = await _exchange(stub, [stream[:7], stream[7:90], stream[90:]], 5)
    assert stub.calls == 5
    assert all(orjson.loads(body)["usage"]["total_tokens"] == 2000 for body in bodies)


async def test_answers_keep_their_order_behind_a_waiting_one() -> None:
    bodies = await _exchange(Stub(latency=0.01), [REQUEST + b"GET /count HTTP/1.1\r\n\r\n"], 2)
    assert "choices" in orjson.loads(bodies[0])
    assert orjson.loads(bodies[1])["calls"] == 1


@pytest.mark.parametrize(("request_line", "word"), [(b"GET /nothing", b"no such route"), (b"POST /v1", b"refused")])
async def test_what_it_does_not_serve_is_refused(request_line: bytes, word: bytes) -> None:
    bodies = await _exchange(Stub(), [request_line + b" HTTP/1.1\r\n\r\n"], 1)
    assert word in bodies[0]
