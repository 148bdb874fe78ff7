"""Whatever a provider does, a call ends in an answer or in a ModelError that says what is known of the attempt."""

import asyncio
import gzip
import socket
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from connectors.llm import direct
from connectors.llm.direct import DirectModel
from domain.errors import ModelError
from domain.routing.model import ModelCall
from tests.llm.wire import HANG, RESET, call, completion, http, wire

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
HTML = b"<!DOCTYPE html><html><body>502 Bad Gateway</body></html>"
GOOD = http(completion())


async def failure(asked: ModelCall) -> ModelError:
    model = DirectModel(lambda: NOW)
    try:
        with pytest.raises(ModelError) as caught:
            await model.call(asked)
    finally:
        await model.close()
    return caught.value


def facts(error: ModelError) -> dict[str, Any]:
    return {"outcome": error.outcome, "sent": error.sent, "retryable": error.retryable, "status": error.status}


@pytest.mark.parametrize(
    ("answer", "outcome", "retryable"),
    [
        ("400 Bad Request", "error", False),
        ("401 Unauthorized", "error", False),
        ("402 Payment Required", "error", False),
        ("404 Not Found", "error", False),
        ("408 Request Timeout", "timeout", True),
        ("409 Conflict", "error", True),
        ("413 Payload Too Large", "error", False),
        ("422 Unprocessable", "error", False),
        ("429 Too Many Requests", "rate_limited", True),
        ("500 Internal Server Error", "error", True),
        ("502 Bad Gateway", "error", True),
        ("503 Service Unavailable", "error", True),
        ("504 Gateway Timeout", "timeout", True),
        ("529 Overloaded", "error", True),
        ("301 Moved Permanently", "error", False),
        ("204 No Content", "error", False),
    ],
)
async def test_a_status_says_what_happened(answer: str, outcome: str, retryable: bool) -> None:
    status = int(answer[:3])
    head = {"content_length": None, "content_type": None} if status == 204 else {"location": "http://127.0.0.1:1/"}
    async with wire(http(b"", answer, x_request_id="req-1", **head)) as provider:
        error = await failure(call(provider.url))
    assert facts(error) == {"outcome": outcome, "sent": True, "retryable": retryable, "status": status}
    assert error.provider_request_id == "req-1"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (http(HTML, content_type="text/html"), "its body is not JSON (text/html)"),
        (http(b""), "its body is not JSON"),
        (http(b'{"choices": [{"message"'), "its body is not JSON"),
        (http(b'{"a": NaN}'), "its body is not JSON"),
        (http(b"null"), "no choices[0].message"),
        (http(b'"text"'), "no choices[0].message"),
        (http([]), "no choices[0].message"),
        (http({}), "no choices[0].message"),
        (http({"choices": []}), "no choices[0].message"),
        (http({"choices": None}), "no choices[0].message"),
        (http({"choices": [{"finish_reason": "stop"}]}), "no choices[0].message"),
        (http({"choices": ["text"]}), "no choices[0].message"),
        (http({"choices": [{"message": None}]}), "no choices[0].message"),
        (http(completion({"an": "object"})), "no choices[0].message"),
        (http(completion([{"text": 5}])), "no choices[0].message"),
        (http(completion("x", finish_reason=[1]) | {"choices": [{"message": {}, "finish_reason": []}]}), "no choices"),
        (http({"error": {"message": "out of memory"}}), "it says: out of memory"),
    ],
)
async def test_status_200_without_an_answer_may_be_tried_again(answer: bytes, reason: str) -> None:
    async with wire(answer) as provider:
        error = await failure(call(provider.url))
    assert facts(error) == {"outcome": "error", "sent": True, "retryable": True, "status": 200}
    assert reason in str(error)


@pytest.mark.parametrize(
    "answer",
    [
        RESET,
        b"HTTP/1.1 200 OK\r\ncontent-le" + RESET,
        http(completion(), content_length=10_000) + RESET,
        http(completion(), content_length=10_000, connection="close"),
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\n{" + RESET,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\nzz\r\n{",
        b"this is not HTTP\r\n\r\n",
        http(b"not gzip", content_encoding="gzip"),
    ],
)
async def test_a_connection_that_breaks_leaves_the_outcome_open(answer: bytes) -> None:
    async with wire(answer) as provider:
        error = await failure(call(provider.url))
    assert facts(error) == {"outcome": "error", "sent": True, "retryable": True, "status": None}


async def test_a_body_longer_than_announced_does_not_spoil_the_next_call() -> None:
    async with wire(http(completion(), content_length=20), GOOD) as provider:
        model = DirectModel()
        with pytest.raises(ModelError):
            await model.call(call(provider.url))
        assert (await model.call(call(provider.url))).text == "hi"
        await model.close()


async def test_a_refused_connection_sent_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = await failure(call(f"http://127.0.0.1:{taken.getsockname()[1]}/v1"))
    assert facts(error) == {"outcome": "refused_connection", "sent": False, "retryable": True, "status": None}
    assert "Connect call failed" in str(error) or "refused" in str(error)


async def test_a_connection_that_is_never_accepted_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "CONNECT_S", 0.2)
    with ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        error = await failure(call(f"http://127.0.0.1:{full.getsockname()[1]}/v1"))
    assert facts(error) == {"outcome": "timeout", "sent": False, "retryable": True, "status": None}


async def test_a_call_that_is_abandoned_is_broken_off_and_disturbs_no_other() -> None:
    async with wire(HANG, GOOD) as provider:
        model = DirectModel()
        abandoned = asyncio.create_task(model.call(call(provider.url)))
        while not provider.asked:
            await asyncio.sleep(0.01)
        abandoned.cancel()
        with pytest.raises(asyncio.CancelledError):
            await abandoned
        await asyncio.wait_for(asyncio.gather(*provider.serving), 5)
        assert (await model.call(call(provider.url))).text == "hi"
        await model.close()


async def test_a_header_that_is_not_text_is_not_read() -> None:
    answer = http(completion()).replace(b"\r\n\r\n", b"\r\nx-odd: \xff\r\nx-request-id: req-1\r\n\r\n", 1)
    async with wire(answer) as provider:
        model = DirectModel()
        assert (await model.call(call(provider.url))).provider_request_id == "req-1"
        await model.close()


async def test_an_address_that_is_none_sent_nothing() -> None:
    error = await failure(call("http://127.0.0.1:99999999/v1"))
    assert (error.sent, error.retryable) == (False, False)


@pytest.mark.parametrize("answer", [HANG, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{"])
async def test_silence_ends_at_the_time_out(answer: bytes) -> None:
    async with wire(answer) as provider:
        error = await failure(call(provider.url, timeout_s=0.05))
    assert facts(error) == {"outcome": "timeout", "sent": True, "retryable": True, "status": None}
    assert "did not answer within 0.05 s" in str(error)


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_without_end_is_given_up(chunked: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "MAX_BODY", 1 << 20)
    data = b" " * (2 << 20)
    plain = http(data)
    pieces = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
    async with wire(pieces if chunked else plain) as provider:
        error = await failure(call(provider.url))
    assert "larger than 1 MiB" in str(error)


async def test_a_compressed_answer_that_nobody_asked_for_is_read() -> None:
    body = gzip.compress(orjson.dumps(completion()))
    async with wire(http(body, content_encoding="gzip")) as provider:
        model = DirectModel()
        assert (await model.call(call(provider.url))).text == "hi"
        await model.close()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry_after": "7"}, 7.0),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "-3"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, 86_400.0),
        ({"retry_after": "Thu, 01 Jan 2026 12:00:30 GMT"}, 30.0),
        ({"retry_after_ms": "1500", "retry_after": "2"}, 1.5),
        ({"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "6m0s"}, 360.0),
        ({"x_ratelimit_remaining_requests": "3", "x_ratelimit_reset_requests": "6m0s"}, None),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "120ms"}, 0.12),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "1.25"}, 1.25),
        ({"x_ratelimit_remaining_tokens": "0", "x_ratelimit_reset_tokens": "?"}, None),
        (
            {
                "anthropic_ratelimit_input_tokens_remaining": "0",
                "anthropic_ratelimit_input_tokens_reset": "2026-01-01T12:01:00Z",
            },
            60.0,
        ),
    ],
)
async def test_how_long_to_wait_is_read_from_the_headers(headers: dict[str, str], seconds: float | None) -> None:
    async with wire(http(b"{}", "429 Too Many Requests", **headers)) as provider:
        error = await failure(call(provider.url))
    assert error.retry_after == pytest.approx(seconds)


async def test_a_quota_that_is_used_up_is_not_asked_again() -> None:
    said = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
    async with wire(http(said, "429 Too Many Requests", retry_after="1")) as provider:
        error = await failure(call(provider.url))
    assert (error.outcome, error.retryable, error.retry_after) == ("rate_limited", False, None)


async def test_what_the_provider_says_is_passed_on_but_not_about_our_key() -> None:
    said = {"error": {"message": "no model\n m for key sk-test"}}
    async with wire(http(said, "404 Not Found"), http(said, "401 Unauthorized")) as provider:
        assert "acme answered 404 for m: no model m for key" in str(await failure(call(provider.url)))
        assert "sk-test" not in str(await failure(call(provider.url)))


async def test_a_prompt_the_provider_filters_is_a_refusal() -> None:
    said = {"error": {"code": "content_filter", "message": "The response was filtered"}}
    async with wire(http(said, "400 Bad Request")) as provider:
        model = DirectModel()
        reply = await model.call(call(provider.url))
        await model.close()
    assert (reply.finish, reply.tokens.input) == ("content_filter", 0)


async def test_after_a_failure_the_next_call_works() -> None:
    async with wire(RESET, http(b"", "500 Oops"), GOOD) as provider:
        model = DirectModel()
        for _ in range(2):
            with pytest.raises(ModelError):
                await model.call(call(provider.url))
        assert (await model.call(call(provider.url))).text == "hi"
        await model.close()
