"""Receivers that behave badly, on real sockets: each of them is an answer, within its time."""

import time
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest

from connectors.guarded import Bounds, GuardedHttp
from connectors.webhook import outlet as module
from connectors.webhook.outlet import HttpOutlet
from tests.webhooks.receiver import Receiver, receiving

LOOPBACK = (ip_network("127.0.0.0/8"),)
TIMEOUT_S = 0.5


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as found:
        yield found


@pytest.fixture
async def outlet(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HttpOutlet]:
    monkeypatch.setattr(module, "BODY_S", 0.1)
    found = HttpOutlet(LOOPBACK, 8)
    yield found
    await found.close()


@pytest.fixture
async def hasty() -> AsyncIterator[HttpOutlet]:
    found = HttpOutlet(LOOPBACK, 8, GuardedHttp(LOOPBACK, Bounds(total_s=TIMEOUT_S)))
    yield found
    await found.close()


async def test_a_delivery_is_posted_as_it_is(receiver: Receiver, outlet: HttpOutlet) -> None:
    heard = await outlet.post(receiver.url("/in?x=1"), {"webhook-id": "msg_1", "content-type": "a/b"}, b'{"a":1}')
    assert (heard.status, heard.delivered, heard.error) == (204, True, "")
    [got] = receiver.got
    assert (got.path, got.body, got.headers["webhook-id"], got.headers["content-type"]) == (
        "/in?x=1", b'{"a":1}', "msg_1", "a/b",
    )  # fmt: skip


async def test_a_connection_is_used_again(receiver: Receiver, outlet: HttpOutlet) -> None:
    for _ in range(5):
        await outlet.post(receiver.url(), {}, b"{}")
    assert (len(receiver.got), receiver.connections) == (5, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_never_followed(receiver: Receiver, outlet: HttpOutlet, status: int) -> None:
    heard = await outlet.post(receiver.url(f"/status/{status}"), {}, b"{}")
    assert (heard.status, heard.delivered, len(receiver.got)) == (status, False, 1)


async def test_the_head_of_the_answer_is_kept_for_the_log(receiver: Receiver, outlet: HttpOutlet) -> None:
    heard = await outlet.post(receiver.url("/status/503"), {}, b"{}")
    assert (heard.retry_after, heard.head.split("\n")[0]) == ("120", "503 Service Unavailable")
    assert "location: /elsewhere" in heard.head.lower()


@pytest.mark.parametrize("path", ["/endless", "/drip"])
async def test_a_body_without_end_is_cut_and_the_status_counts(
    receiver: Receiver, outlet: HttpOutlet, path: str
) -> None:
    began = time.monotonic()
    heard = await outlet.post(receiver.url(path), {}, b"{}")
    assert (heard.status, heard.delivered) == (200, True)
    assert time.monotonic() - began < module.TIMEOUT_S / 2


@pytest.mark.parametrize("path", ["/hang", "/drip-head"])
async def test_who_does_not_answer_in_time_is_given_up(receiver: Receiver, hasty: HttpOutlet, path: str) -> None:
    began = time.monotonic()
    heard = await hasty.post(receiver.url(path), {}, b"{}")
    assert (heard.status, "within" in heard.error) == (None, True)
    assert TIMEOUT_S - 0.05 < time.monotonic() - began < module.TIMEOUT_S / 2


@pytest.mark.parametrize("path", ["/cut", "/noise"])
async def test_what_is_no_answer_says_so(receiver: Receiver, outlet: HttpOutlet, path: str) -> None:
    heard = await outlet.post(receiver.url(path) + "?token=secret", {}, b"{}")
    assert heard.status is None
    assert heard.error
    assert "secret" not in heard.error


async def test_nobody_listening_is_an_answer_too(outlet: HttpOutlet) -> None:
    heard = await outlet.post("http://127.0.0.1:9/", {}, b"{}")
    assert (heard.status, heard.delivered) == (None, False)


async def test_an_address_that_is_not_allowed_is_never_connected_to(receiver: Receiver) -> None:
    strict = HttpOutlet((), 8)
    for url in (receiver.url(), f"http://localhost:{receiver.port}/", f"http://[::ffff:127.0.0.1]:{receiver.port}/"):
        heard = await strict.post(url, {}, b"{}")
        assert (heard.status, heard.forbidden) == (None, True)
    await strict.close()
    assert receiver.connections == 0
