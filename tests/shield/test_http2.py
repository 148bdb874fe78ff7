"""What HTTP/2 lets an attacker do that HTTP/1.1 does not."""

import socket
from contextlib import suppress

import pytest
from hpack import Encoder
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

from tests.shield.conftest import Served, ended
from tests.shield.test_raw import GROWTH, HEALTH, status

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
REQUEST = [(":method", "GET"), (":path", "/healthz"), (":scheme", "http"), (":authority", "door")]


def opened(served: Served) -> socket.socket:
    connection = served.connect()
    connection.sendall(PREFACE + SettingsFrame(0).serialize())
    return connection


def headers(stream: int, block: bytes, *flags: str) -> bytes:
    frame = HeadersFrame(stream, data=block)
    frame.flags |= set(flags)
    return frame.serialize()


def survives(served: Served, before: int) -> None:
    """It still answers others, and has not grown."""
    assert status(served.answer(HEALTH + b"Connection: close\r\n\r\n")) == 200
    assert served.resident() - before < GROWTH


def sent(connection: socket.socket, data: bytes) -> None:
    """Whatever of it the server takes before it ends the connection, and a second of its answers."""
    connection.settimeout(1)
    with connection, suppress(ConnectionError, TimeoutError):
        connection.sendall(data)
        ended(connection)


def test_a_request_made_of_these_frames_is_answered(served: Served) -> None:
    """Else the others would prove nothing."""
    with opened(served) as connection:
        connection.sendall(headers(1, Encoder().encode(REQUEST), "END_HEADERS", "END_STREAM"))
        found = b""
        while b'{"ok":true}' not in found:
            found += connection.recv(65_536)


def test_streams_that_are_opened_and_reset_at_once_cost_nothing(served: Served) -> None:
    """CVE-2023-44487, rapid reset."""
    before, encoder = served.resident(), Encoder()
    frames = [
        headers(stream, encoder.encode(REQUEST), "END_HEADERS", "END_STREAM")
        + RstStreamFrame(stream, error_code=8).serialize()
        for stream in range(1, 20_001, 2)
    ]
    sent(opened(served), b"".join(frames))
    survives(served, before)


def test_headers_that_go_on_for_ever_are_not_kept(served: Served) -> None:
    """A flood of CONTINUATION frames (VU#421644)."""
    before, encoder = served.resident(), Encoder()
    first = headers(1, encoder.encode(REQUEST), "END_STREAM")
    more = ContinuationFrame(1, data=encoder.encode([("x-filler", "a" * 8_000)], huffman=False)).serialize()
    sent(opened(served), first + more * 5_000)
    survives(served, before)


def test_a_table_of_headers_that_unpacks_a_thousandfold_is_refused(served: Served) -> None:
    """An HPACK bomb: one long header, then references to it of one byte each."""
    before, encoder = served.resident(), Encoder()
    block = encoder.encode([*REQUEST, ("x-filler", "a" * 3_000)])
    block += encoder.encode([("x-filler", "a" * 3_000)]) * 12_000
    sent(opened(served), headers(1, block, "END_HEADERS", "END_STREAM"))
    survives(served, before)


@pytest.mark.parametrize("frame", [SettingsFrame(0), PingFrame(0, opaque_data=b"12345678")])
def test_frames_that_want_an_answer_do_not_pile_up(served: Served, frame: Frame) -> None:
    """CVE-2019-9512 and -9515: the client never reads."""
    before = served.resident()
    with opened(served) as connection, suppress(TimeoutError, ConnectionError):
        connection.settimeout(2)
        for _ in range(100):
            connection.sendall(frame.serialize() * 2_000)
    survives(served, before)
