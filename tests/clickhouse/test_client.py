"""The HTTP session against servers that misbehave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.clickhouse.client import PIECE, ClickHouse, Rows
from connectors.clickhouse.errors import BadRows, ServerTrouble
from connectors.clickhouse.sink import ClickHouseSink
from domain.errors import InvalidSettings, Unavailable
from tests.contract.messages import item, result
from topics.table import RESULTS

Handler = Callable[[web.Request], Awaitable[web.Response]]
Serve = Callable[[Handler], Awaitable[ClickHouse]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    opened: list[TestServer | ClickHouse] = []

    async def start(handler: Handler) -> ClickHouse:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/", handler)
        server = TestServer(app)
        await server.start_server()
        clickhouse = ClickHouse(f"http://us%40er:p%2Fw@127.0.0.1:{server.port}/some_db", timeout_s=0.3)
        await clickhouse.open()
        opened[:0] = [clickhouse, server]
        return clickhouse

    yield start
    for one in opened:
        await one.close()


async def test_sends_credentials_database_and_rows(serve: Serve) -> None:
    seen = {}

    async def handler(request: web.Request) -> web.Response:
        seen.update(request.query)
        seen["user"], seen["key"] = request.headers["X-ClickHouse-User"], request.headers["X-ClickHouse-Key"]
        seen["body"] = (await request.read()).decode()
        return web.Response()

    await (await serve(handler)).insert("some_table", b'{"a":1}\n' * 300_000)
    assert (seen["user"], seen["key"], seen["database"]) == ("us@er", "p/w", "some_db")
    assert seen["query"] == "INSERT INTO some_table FORMAT JSONEachRow"
    assert seen["wait_end_of_query"] == "1"
    assert seen["body"] == '{"a":1}\n' * 300_000


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 1), (3, PIECE), (5_000, 500), (1, 3 * PIECE)])
async def test_values_are_sent_piece_by_piece_and_arrive_as_rows(serve: Serve, count: int, size: int) -> None:
    seen = {}

    async def handler(request: web.Request) -> web.Response:
        seen["length"], seen["body"] = request.content_length, await request.read()
        return web.Response()

    values = [b'"%s"' % (b"x" * (size + n % 7)) for n in range(count)]
    await (await serve(handler)).insert("t", Rows(values))
    assert seen["body"] == b"".join(b'{"value":%s}\n' % value for value in values)
    assert seen["length"] == len(seen["body"])


async def test_a_server_that_hangs_is_unavailable(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(Unavailable, match="does not answer: TimeoutError"):
        await (await serve(handler)).insert("t", b"{}")


async def test_a_server_that_hangs_up_is_unavailable(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(Unavailable, match="does not answer"):
        await (await serve(handler)).insert("t", b"{}")


async def test_a_refused_connection_is_unavailable() -> None:
    async with ClickHouse("http://app:secret@127.0.0.1:1/x") as clickhouse:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1 does not answer") as raised:
            await ClickHouseSink(clickhouse).open()
    assert "secret" not in str(raised.value)


async def test_an_overloaded_proxy_says_when_to_come_back(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=503, text="busy", headers={"Retry-After": "4"})

    with pytest.raises(ServerTrouble) as raised:
        await (await serve(handler)).insert("t", b"{}")
    assert raised.value.retry_after == 4.0


async def test_an_exception_that_follows_a_200_is_seen(serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="Code: 27.", headers={"X-ClickHouse-Exception-Code": "27"})

    with pytest.raises(BadRows):
        await (await serve(handler)).insert("t", b"{}")


@pytest.mark.parametrize("code", ["516", "60", "252", "1002"])
async def test_trouble_at_the_server_refuses_no_row(serve: Serve, code: str) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=500, headers={"X-ClickHouse-Exception-Code": code})

    with pytest.raises(ServerTrouble):
        await ClickHouseSink(await serve(handler)).write([result("a"), result("b")])


async def test_an_engine_that_stumbles_over_a_broken_value_loses_only_that(serve: Serve) -> None:
    async def handler(request: web.Request) -> web.Response:
        broken = b"\xff" in await request.read()
        return web.Response(status=500, headers={"X-ClickHouse-Exception-Code": "1002"}) if broken else web.Response()

    poison = item(RESULTS, b'"\xff"')
    refused = await ClickHouseSink(await serve(handler)).write([result("a"), poison, result("b")])
    assert [one.item for one in refused] == [poison]


@pytest.mark.parametrize("url", ["", "localhost:8123", "clickhouse://a:b@c/d", "http:///x"])
def test_an_address_that_is_none_says_what_one_looks_like(url: str) -> None:
    with pytest.raises(InvalidSettings, match="http://user:password@host:port/structured_prompt"):
        ClickHouse(url)


@pytest.mark.parametrize(
    ("url", "place", "database"),
    [
        ("http://a:b@h", "h:8123", "structured_prompt"),
        ("https://a:b@h/x", "h:8443", "x"),
        ("http://h:99/x/", "h:99", "x"),
    ],
)
def test_what_an_address_leaves_out_is_usual(url: str, place: str, database: str) -> None:
    clickhouse = ClickHouse(url)
    assert (clickhouse.place, clickhouse.database) == (place, database)
