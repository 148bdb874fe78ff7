"""What an attacker sends, byte for byte, to the API as it is served."""

import gzip
import socket
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.shield.conftest import Served, ended
from tests.shield.server import PLACES
from topics.codec import MAX_BYTES

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: door\r\n"
POST = b"POST /v1/analyze HTTP/1.1\r\nHost: door\r\n"
QUICK_S = 0.1
GROWTH = 50 * 1024 * 1024
MEGA = 1024 * 1024
DEEP = b'{"prompt":"hi","metadata":' + b'{"a":' * 150_000 + b"1" + b"}" * 150_001
BODIES = {
    "150,000 levels of objects": DEEP,
    "a million brackets": b"[" * 1_000_000,
    "half a million brackets in a field": b'{"prompt":"hi","metadata":' + b"[" * 500_000,
    "a hundred thousand names": b'{"prompt":"hi",' + b",".join(b'"f%d":1' % n for n in range(90_000)) + b"}",
    "one long number": b'{"prompt":' + b"9" * 1_000_000 + b"}",
    "one long exponent": b'{"prompt":"hi","max_cost_usd":1e' + b"9" * 1_000_000 + b"}",
}


def status(answer: bytes) -> int:
    return int(answer[9:12])


def test_a_head_that_never_ends_is_cut_off(served: Served) -> None:
    """Slowloris: a header line every now and then."""
    began = time.monotonic()
    with served.connect() as connection:
        connection.sendall(HEALTH)
        for n in range(100):
            time.sleep(0.1)
            try:
                connection.sendall(b"X-%d: a\r\n" % n)
            except OSError:
                break
        assert ended(connection) == b""
    assert time.monotonic() - began < 5


def test_a_body_that_never_ends_is_told_408(served: Served) -> None:
    answer = served.post(b"{", "Content-Length: 1000")
    assert status(answer) == 408
    assert b'"code":"too_slow"' in answer
    assert b"x-frame-options: DENY" in answer


def test_a_connection_that_stays_quiet_after_its_answer_is_closed(served: Served) -> None:
    began = time.monotonic()
    assert status(served.answer(HEALTH + b"\r\n")) == 200
    assert time.monotonic() - began < 5


@pytest.mark.skipif(not hasattr(socket, "TCP_INFO"), reason="only Linux tells what a connection received")
@pytest.mark.parametrize("said", [b"", b"PRI * HTTP/2.0\r\n"])
def test_silent_connections_keep_nobody_out(served: Served, said: bytes) -> None:
    assert status(served.answer(HEALTH + b"Connection: close\r\n\r\n")) == 200
    silent = [served.connect() for _ in range(PLACES + 5)]
    try:
        for connection in silent if said else ():
            connection.sendall(said)
        assert status(served.answer(HEALTH + b"Connection: close\r\n\r\n")) == 200
        assert all(ended(connection) == b"" for connection in silent)
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize(
    "head",
    [
        HEALTH + b"X: " + b"a" * 200_000 + b"\r\n\r\n",
        HEALTH + b"".join(b"X-%d: a\r\n" % n for n in range(5_000)) + b"\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: door\r\n\r\n",
    ],
)
def test_a_head_without_measure_is_refused(served: Served, head: bytes) -> None:
    assert status(served.answer(head)) in (414, 431)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: door\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
        b"nonsense\r\n\r\n",
    ],
)
def test_ambiguous_or_malformed_requests_are_no_second_request(served: Served, head: bytes) -> None:
    answer = served.answer(head)
    assert answer.count(b"HTTP/1.") <= 1
    assert not answer or status(answer) in (400, 401)


@pytest.mark.parametrize("length", ["1073741824", "18446744073709551616", "99999999999999999999999999"])
def test_a_gigabyte_is_refused_by_its_announcement(served: Served, length: str) -> None:
    before = served.resident()
    answer = served.post(b"{", f"Content-Length: {length}")
    assert status(answer) in (400, 413)
    assert served.resident() - before < GROWTH


@pytest.mark.parametrize("packed", [gzip.compress, zlib.compress])
def test_a_bomb_is_refused_unopened(served: Served, packed: object) -> None:
    bomb = gzip.compress(bytes(200 * MEGA)) if packed is gzip.compress else zlib.compress(bytes(200 * MEGA))
    before, began = served.resident(), time.monotonic()
    answer = served.post(bomb, "Content-Encoding: gzip" if packed is gzip.compress else "Content-Encoding: deflate")
    assert status(answer) == 415
    assert time.monotonic() - began < 2
    assert served.resident() - before < GROWTH


@pytest.mark.parametrize("name", BODIES)
def test_deep_and_wide_JSON_is_refused_at_once_and_with_little_memory(served: Served, name: str) -> None:
    assert len(BODIES[name]) <= MAX_BYTES
    memory, worked = served.resident(), served.worked()
    for _ in range(5):
        assert status(served.post(BODIES[name])) == 422
    # of its processor: what others do on this machine is not meant
    assert (served.worked() - worked) / 5 < QUICK_S
    assert served.resident() - memory < GROWTH


def test_others_are_answered_while_bad_bodies_come(served: Served) -> None:
    with ThreadPoolExecutor(4) as pool:
        bad = [pool.submit(served.post, DEEP) for _ in range(20)]
        good = served.answer(HEALTH + b"Connection: close\r\n\r\n")
        assert status(good) == 200
        assert {status(one.result()) for one in bad} == {422}
