"""POST /v1/analyze as server-sent events."""

import asyncio

import orjson
import pytest

from domain.ledger.model import State
from domain.ledger.results import failed
from domain.ports import Chunk
from domain.routing.model import ToolPiece
from tests.api.door import ASK, Door, assert_problem, completed
from topics.headers import REPLY_TO, STREAMS
from topics.table import REQUESTS

EVENTS = {"accept": "text/event-stream"}


def events(text: str) -> list[tuple[str, dict[str, object]]]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("event: ")]
    return [(name.removeprefix("event: "), orjson.loads(data.removeprefix("data: "))) for name, data in blocks]


async def test_progress_and_then_the_result(door: Door) -> None:
    door.line.answering.clear()
    asking = asyncio.create_task(door.ask({**ASK, "id": "a"}, **EVENTS))
    while not door.line.claims:
        await asyncio.sleep(0.01)
    door.store.requests["acme", "a"].state = State.DISPATCHED  # as infer would have it
    await asyncio.sleep(0.6)
    door.line.answering.set()
    response = await asking
    assert (response.status_code, response.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    found = events(response.text)
    assert [name for name, _ in found] == ["accepted", "running", "result"]
    links = {"self": "/v1/jobs/a", "result": "/v1/jobs/a/result"}
    assert found[0][1] == {"id": "a", "status": "accepted", "links": links}
    assert found[-1][1]["output"] == "On its way."


async def test_text_that_is_written_meanwhile(door: Door) -> None:
    door.line.answering.clear()
    door.line.endings["a"] = completed("One two three.")
    asking = asyncio.create_task(door.ask({**ASK, "id": "a"}, **EVENTS))
    while not door.line.claims:
        await asyncio.sleep(0.01)
    headers = dict(door.broker.log[REQUESTS][0].headers)
    assert headers[STREAMS] == b"1"
    instance = headers[REPLY_TO].decode()
    pieces = [(0, "One "), (4, "two "), (4, "twice "), (12, "a gap")]
    await door.chunks.send([Chunk(instance, "acme", "a", at, text) for at, text in pieces])
    await asyncio.sleep(0.05)
    door.line.answering.set()
    found = events((await asking).text)
    assert [data["text"] for name, data in found if name == "delta"] == ["One ", "two "]
    assert found[-1][0] == "result"


async def test_calls_of_tools_that_are_written_meanwhile(door: Door) -> None:
    door.line.answering.clear()
    asking = asyncio.create_task(door.ask({**ASK, "id": "a"}, **EVENTS))
    while not door.line.claims:
        await asyncio.sleep(0.01)
    instance = dict(door.broker.log[REQUESTS][0].headers)[REPLY_TO].decode()
    pieces = [ToolPiece(0, "", "call_1", "track"), ToolPiece(0, '{"n":7}')]
    await door.chunks.send([Chunk(instance, "acme", "a", at, piece) for at, piece in enumerate(pieces)])
    await asyncio.sleep(0.05)
    door.line.answering.set()
    found = events((await asking).text)
    assert [data for name, data in found if name == "tool_call"] == [
        {"index": 0, "id": "call_1", "name": "track", "arguments": ""}, {"index": 0, "arguments": '{"n":7}'},
    ]  # fmt: skip


async def test_what_fails_ends_with_the_problem(door: Door) -> None:
    door.line.endings["a"] = failed("provider_error", "it answered 500")
    [*_, (name, problem)] = events((await door.ask({**ASK, "id": "a"}, **EVENTS)).text)
    assert (name, problem["code"], problem["status"]) == ("error", "provider_error", 502)
    assert problem["result"]["id"] == "a"  # type: ignore[index]


async def test_what_is_refused_at_once_is_no_stream(door: Door) -> None:
    assert_problem(await door.ask({"promt": "typo"}, **EVENTS), 422, "invalid_request")


async def test_when_the_wait_is_over_the_job_goes_on(door: Door) -> None:
    door.line.open.clear()
    response = await door.ask({**ASK, "id": "a"}, prefer="wait=1", **EVENTS)
    assert [name for name, _ in events(response.text)] == ["accepted", "pending"]


async def test_a_repeat_is_answered_with_the_stored_result(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    response = await door.ask({**ASK, "id": "a"}, **EVENTS)
    assert [name for name, _ in events(response.text)] == ["accepted", "result"]


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/event-stream"])
async def test_others_get_json(door: Door, accept: str) -> None:
    assert (await door.ask(ASK, accept=accept)).headers["content-type"] == "application/json"
    assert STREAMS not in dict(door.broker.log[REQUESTS][0].headers)


async def test_a_client_that_leaves_is_forgotten(door: Door) -> None:
    door.line.open.clear()
    asking = asyncio.create_task(door.ask({**ASK, "id": "a"}, **EVENTS))
    waiters = door.app.state.parts.waiters
    while not waiters._waiting:
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert not waiters._waiting
