"""POST /v1/exports: a tenant takes its own results with it."""

import asyncio
import json
import socket
from contextlib import suppress
from datetime import UTC, datetime

import httpx
import pytest

from api import main
from api.exports.service import AT_ONCE
from domain.errors import Unavailable
from tests.api.door import Door, assert_problem
from tests.contract.messages import result

NOW = datetime.now(UTC)


async def test_results_leave_in_the_format_and_with_the_fields_asked_for(door: Door) -> None:
    await door.sink.write([result("b", completed_at=NOW), result("a", completed_at=NOW)])
    await door.sink.write([result("c", tenant="globex", completed_at=NOW)])
    answer = await door.ask({"format": "csv", "fields": ["id", "status"]}, "/v1/exports")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/csv; charset=utf-8")
    assert answer.headers["content-disposition"].endswith('.csv"')
    assert answer.text.splitlines()[1:] == ['"a","completed"', '"b","completed"']
    lines = await door.ask(b"", "/v1/exports")
    assert [json.loads(line)["id"] for line in lines.text.splitlines()] == ["a", "b"]
    rest = await door.ask({"after": "a", "since": "1h"}, "/v1/exports")
    assert [json.loads(line)["id"] for line in rest.text.splitlines()] == ["b"]


@pytest.mark.parametrize(
    "body",
    [{"format": "xml"}, {"fields": ["costs"]}, {"fields": []}, {"fields": ["id", "id"]}, {"since": "soon"},
     {"status": "done"}, {"after": "a b"}, {"limit": 5}, b"[1]"],
)  # fmt: skip
async def test_an_order_that_cannot_be_followed_says_why(door: Door, body: object) -> None:
    assert_problem(await door.ask(body, "/v1/exports"), 422, "invalid_request")


async def test_few_exports_run_at_once(door: Door) -> None:
    go_on = asyncio.Event()
    file = door.exporter.file

    async def slow(wanted):  # type: ignore[no-untyped-def]
        await go_on.wait()
        async for piece in file(wanted):
            yield piece

    door.exporter.file = slow  # type: ignore[method-assign]
    running = [asyncio.ensure_future(door.ask({}, "/v1/exports")) for _ in range(AT_ONCE)]
    await asyncio.sleep(0.05)
    refused = await door.ask({}, "/v1/exports")
    assert_problem(refused, 503, "unavailable")
    assert refused.headers["retry-after"] == "5"
    go_on.set()
    assert [one.status_code for one in await asyncio.gather(*running)] == [200] * AT_ONCE
    assert (await door.ask({}, "/v1/exports")).status_code == 200


async def test_strangers_export_nothing(door: Door) -> None:
    assert_problem(await door.strangers.post("/v1/exports"), 401, "unauthenticated")


async def test_an_export_that_breaks_off_breaks_the_connection() -> None:
    door, stop = Door(), asyncio.Event()

    async def broken(_wanted):  # type: ignore[no-untyped-def]
        for _ in range(200):
            yield b'{"id": "a"}\n' * 1000
        raise Unavailable("ClickHouse broke off")

    door.exporter.file = broken  # type: ignore[method-assign]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    settings = door.settings.model_copy(update={"api_port": port, "metrics_port": 0})
    serving = asyncio.ensure_future(main.serve(door.ports, settings, stop))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=door.bearer()) as client:
            for _ in range(100):
                with suppress(httpx.TransportError):
                    await client.get("/healthz")
                    break
                await asyncio.sleep(0.05)
            with pytest.raises(httpx.TransportError):
                await client.post("/v1/exports", json={})
    finally:
        stop.set()
        await serving
