"""Documents that requests refer to, on the line: read before the call, waited for, or refused without one."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from agents.infer.documents import COPIES, PATIENCE_S
from agents.infer.room import Room
from connectors.memory.content_filter import BlocklistFilter
from domain.errors import Permanent, Transient
from domain.outgoing.places import Places
from domain.safety.blocklist import Blocklist
from tests.line.memory_line import MemoryLine, request, running, the_end

URL, IMAGE = "s3://docs/acme/contract.txt", "https://docs.example.com/cat.png"
PNG = b"\x89PNG\r\n\x1a\n...."
ASKED = {"type": "text", "text": "Is it good?"}


def line_with(**documents: Any) -> MemoryLine:
    line = MemoryLine()
    line.places = Places.parse("s3://docs/{tenant}/,https://docs.example.com/")
    line.preparer = replace(line.preparer, places=line.places)
    line.documents.held = {URL: ("text/plain", b"It is good."), IMAGE: ("image/png", PNG), **documents}
    return line


def about(*urls: str, **more: Any) -> dict[str, Any]:
    parts = [{"type": "file", "file": {"file_data": url}} for url in urls]
    return request(**{"prompt": None, "messages": [{"role": "user", "content": [ASKED, *parts]}], **more})


async def test_a_document_larger_than_a_message_is_asked_about() -> None:
    line = line_with()
    line.document_bytes, line.room = 4 << 20, Room(COPIES * 4 << 20)
    line.documents.held[URL] = ("text/plain", b"It is good. " * 200_000)
    result = await line.answer(about(URL))
    assert result is not None
    assert result["status"] == "completed"
    ((question, document),) = [message["content"] for message in line.model.calls[0].messages]
    assert question == ASKED
    assert document["text"].startswith('<document name="contract.txt">\nIt is good. It is good. ')
    assert len(document["text"]) > 2_400_000
    assert max(len(record.value or b"") for log in line.broker.log.values() for record in log) < 10_000
    assert line.room.left == line.room.size


async def test_an_image_becomes_data_and_each_address_is_read_once() -> None:
    line = line_with()
    await line.answer(about(IMAGE, URL, IMAGE))
    kinds = [part["type"] for part in line.model.calls[0].messages[0]["content"]]
    assert kinds == ["text", "image_url", "text", "image_url"]
    assert sorted(line.documents.opened) == sorted([IMAGE, URL])
    assert line.metrics.value("documents", outcome="read") == 2


async def test_what_is_in_no_place_goes_to_the_provider_and_nothing_is_read() -> None:
    line = line_with()
    body = about("https://elsewhere.example/a.pdf")
    await line.answer(body)
    assert line.model.calls[0].messages == body["messages"]
    assert line.documents.opened == []


@pytest.mark.parametrize("cache", ["use", "refresh"])
async def test_a_document_that_changed_is_asked_about_anew(cache: str) -> None:
    line = line_with()
    await line.answer(about(URL, id="first"))
    line.documents.held[URL] = ("text/plain", b"It is bad.")
    result = await line.answer(about(URL, id="second", cache=cache))
    assert result is not None
    assert result["cached"] is None
    assert "It is bad." in line.model.calls[1].messages[0]["content"][1]["text"]


async def test_two_at_once_are_not_taken_for_the_same_question() -> None:
    line = line_with()
    await line.intake().handle_batch([line.publish(about(URL, id=id)) for id in ("first", "second")])
    infer = await line.infer()
    await asyncio.gather(*[infer.handle(delivery) for delivery in line.calls()])
    assert [row["cached"] for row in line.out("prompt.results")] == [None, None]
    assert len(line.model.calls) == 2


async def test_L10_a_document_that_cannot_be_read_now_is_waited_for() -> None:
    line = line_with(**{URL: Transient("docs answered with status 503", 20.0)})
    assert await line.answer(about(URL)) is None
    (event,) = line.out("prompt.events")
    assert (event["type"], event["data"]["reason"]) == ("request.waiting", "document")
    line.pass_time(seconds=21)
    line.documents.held[URL] = ("text/plain", b"It is good.")
    await line.wake().wake_due()
    (delivery,) = line.calls()
    await (await line.infer()).handle(delivery)
    assert line.out("prompt.results")[0]["usage"]["attempts"] == 1
    assert line.model.calls


async def test_after_ten_minutes_it_is_over_without_a_call() -> None:
    line = line_with(**{URL: Transient("docs answered with status 503")})
    infer = await line.infer()
    assert await line.answer(about(URL), infer) is None
    tries = 1
    while not line.out("prompt.results"):
        line.pass_time(seconds=61)
        await infer._ports.ledger.register("w1", "infer")
        await line.wake().wake_due()
        for delivery in line.calls():
            await infer.handle(delivery)
            tries += 1
    assert the_end(line) == ("rejected", "invalid_request", 0)
    assert "could not be read for 10 minutes: docs answered" in line.out("prompt.results")[0]["error"]["message"]
    assert PATIENCE_S / 61 <= tries <= PATIENCE_S / 61 + 3
    assert line.model.calls == []


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (Permanent("the bucket docs answered NoSuchKey (404)"), "the document cannot be read: the bucket"),
        (("application/zip", b"PK"), "is application/zip"),
        (("text/plain", b"x" * (1 << 20) + b"x"), "above 1 MiB (STRUCTURED_PROMPT_FETCH_MAX_MB)"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sized", [True, False])
async def test_what_cannot_be_asked_about_is_rejected_without_a_call(held: Any, said: str, sized: bool) -> None:
    line = line_with(**{URL: held})
    line.documents.sized = sized
    await line.answer(about(URL))
    assert the_end(line) == ("rejected", "invalid_request", 0)
    error = line.out("prompt.results")[0]["error"]
    assert error["errors"][0]["path"] == "/messages/0/content/1"
    assert said in error["message"]
    assert line.model.calls == []
    assert line.room.left == line.room.size


async def test_another_tenants_documents_are_not_to_be_had() -> None:
    line = line_with(**{"s3://docs/other/contract.txt": ("text/plain", b"secret")})
    await line.answer(about("s3://docs/other/contract.txt"))
    assert the_end(line) == ("rejected", "invalid_request", 0)
    assert line.documents.opened == []


async def test_a_worker_that_allows_less_than_intake_refuses_what_nobody_reads() -> None:
    line = line_with()
    line.places = Places()
    await line.answer(about(URL))
    assert the_end(line) == ("rejected", "invalid_request", 0)
    assert "STRUCTURED_PROMPT_FETCH" in line.out("prompt.results")[0]["error"]["message"]


async def test_the_content_filter_sees_what_a_document_holds() -> None:
    line = line_with()
    line.content_filter = BlocklistFilter(Blocklist.parse("praise: 'it is good\\.'"))
    await line.answer(about(URL))
    assert the_end(line) == ("rejected", "content_blocked", 0)
    assert line.model.calls == []


async def test_a_deadline_that_passed_opens_nothing() -> None:
    line = line_with()
    await line.intake().handle_batch([line.publish(about(URL, deadline="2026-01-01T00:00:10.000Z"))])
    line.pass_time(seconds=11)
    (delivery,) = line.calls()
    await (await line.infer()).handle(delivery)
    assert the_end(line) == ("rejected", "deadline_exceeded", 0)
    assert line.documents.opened == []


async def test_the_memory_is_held_until_the_answer_and_who_finds_none_waits_as_a_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents.infer.documents.ROOM_S", 0.01)
    line = line_with(**{URL: ("text/plain", b"x" * 900_000)})
    infer = await line.infer()
    await line.intake().handle_batch([line.publish(about(URL, id=id)) for id in ("first", "second")])
    first, second = line.calls()
    call = await running(line, infer, first)
    assert line.room.left == line.room.size - COPIES * 900_000
    await infer.handle(second)
    assert [event["data"]["reason"] for event in line.out("prompt.events")] == ["document"]
    line.model.let_go()
    await call
    assert line.room.left == line.room.size
    line.pass_time(seconds=5)
    await line.wake().wake_due()
    for delivery in line.calls():
        await infer.handle(delivery)
    assert len(line.out("prompt.results")) == 2


async def test_room_is_lent_in_turn() -> None:
    room, order = Room(10), []

    async def borrow(name: str, amount: int) -> None:
        loan = await room.lend(amount)
        order.append(name)
        await asyncio.sleep(0)
        loan.end()

    held = await room.lend(6)
    tasks = [asyncio.ensure_future(borrow(name, amount)) for name, amount in (("large", 20), ("small", 1), ("gone", 9))]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.sleep(0)
    assert order == []
    held.keep(1)
    held.end()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (order, room.left) == (["large", "small"], 10)
