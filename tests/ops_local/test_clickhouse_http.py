"""chDB behind ClickHouse's HTTP protocol, spoken to by ClickHouse's own client and by plain HTTP."""

import asyncio
import base64
import gzip

import clickhouse_connect
import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestServer
from clickhouse_connect.driver.exceptions import DatabaseError

from ops.local.clickhouse.server import application, opened

pytestmark = pytest.mark.integration
BASIC = {"Authorization": "Basic " + base64.b64encode(b"app:secret").decode()}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("chdb")


@pytest.fixture
async def url(path):
    engine = await opened(path)
    server = TestServer(application(engine, "secret"))
    await server.start_server()
    yield str(server.make_url("/"))
    await server.close()
    await asyncio.to_thread(engine.close)


@pytest.fixture
async def post(url):
    async with ClientSession(headers=BASIC) as session:

        async def send(sql, data=b"", headers=None, **parameters):
            query = {"query": sql, **parameters} if sql else parameters
            async with session.post(url, params=query, data=data, headers=headers) as response:
                return response.status, await response.read(), response.headers

        yield send


async def client(url, **more):
    port = int(url.rsplit(":", 1)[1].strip("/"))
    return await clickhouse_connect.get_async_client(
        host="127.0.0.1", port=port, username="app", password="secret", database="structured_prompt", **more
    )


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip"])
async def test_the_client_writes_and_reads_native(url, compress):
    connection = await client(url, compress=compress)
    table = f"native_{compress}"
    await connection.command(
        f"CREATE TABLE {table} (a UInt32, b String, m Map(String, UInt8)) ENGINE = MergeTree ORDER BY a"
    )
    await connection.insert(table, [[n, "x'\n", {"k": 1}] for n in range(1000)], column_names=["a", "b", "m"])
    found = await connection.query(
        "SELECT * FROM {table:Identifier} WHERE a < {limit:UInt32} ORDER BY a", parameters={"table": table, "limit": 2}
    )
    assert found.result_rows == [(0, "x'\n", {"k": 1}), (1, "x'\n", {"k": 1})]
    await connection.close()


async def test_an_empty_result_is_empty(url):
    connection = await client(url)
    assert (await connection.query("SELECT 1 WHERE 0")).result_rows == []
    await connection.close()


async def test_a_long_result_is_streamed_whole(post):
    status, body, headers = await post("SELECT number FROM numbers(300000) FORMAT TSV")
    assert status == 200
    assert headers.get("Transfer-Encoding") == "chunked"
    assert body.split()[-1] == b"299999"
    assert len(body.split()) == 300_000


async def test_a_client_that_leaves_in_the_middle_does_not_keep_a_connection(url, post):
    for _ in range(12):
        async with ClientSession(headers=BASIC) as session:
            response = await session.post(url, params={"query": "SELECT number FROM numbers(50000000) FORMAT TSV"})
            await response.content.read(10)
            response.close()
    assert (await post("SELECT 1"))[1] == b"1\n"


async def test_many_queries_run_side_by_side(post):
    answers = await asyncio.gather(*(post(f"SELECT sleep(0.1) + {n}") for n in range(12)))
    assert [int(body) for _, body, _ in answers] == list(range(12))


async def test_settings_last_for_their_request_only(post):
    assert (await post("SELECT getSetting('max_threads')", max_threads="1"))[1] == b"1\n"
    answers = await asyncio.gather(*(post("SELECT getSetting('max_threads')") for _ in range(12)))
    assert all(body != b"1\n" for _, body, _ in answers)


async def test_the_database_is_that_of_the_request(post):
    await post("CREATE DATABASE IF NOT EXISTS other")
    assert (await post("SELECT currentDatabase()", database="other"))[1] == b"other\n"
    assert (await post("SELECT currentDatabase()"))[1] == b"structured_prompt\n"


async def test_json_lines_are_inserted_and_counted(post):
    await post("CREATE TABLE lines (a UInt32) ENGINE = MergeTree ORDER BY a")
    body = b"\n".join(b'{"a":%d,"unknown":1}' % n for n in range(500))
    status, answer, headers = await post(
        "INSERT INTO lines SETTINGS input_format_skip_unknown_fields = 1 FORMAT JSONEachRow",
        gzip.compress(body),
        {"Content-Encoding": "gzip"},
    )
    assert status == 200, answer
    assert '"written_rows": "500"' in headers["X-ClickHouse-Summary"]
    assert (await post("SELECT count() FROM lines"))[1] == b"500\n"


async def test_an_unreadable_row_refuses_the_insert(post):
    await post("CREATE TABLE strict (a UInt32) ENGINE = MergeTree ORDER BY a")
    status, body, headers = await post("INSERT INTO strict FORMAT JSONEachRow", b'{"a":1}\n{"a":"x"}\n')
    assert status in (400, 500)
    assert headers["X-ClickHouse-Exception-Code"] == "27"
    assert b"CANNOT_PARSE_INPUT" in body
    assert (await post("SELECT count() FROM strict"))[1] == b"0\n"


async def test_a_row_that_the_view_behind_a_null_table_refuses_refuses_the_insert(post):
    await post("CREATE TABLE inbox (a String) ENGINE = Null")
    await post("CREATE TABLE kept (a UInt32) ENGINE = MergeTree ORDER BY a")
    await post("CREATE MATERIALIZED VIEW mapping TO kept AS SELECT toUInt32(a) AS a FROM inbox")
    assert (await post("INSERT INTO inbox FORMAT JSONEachRow", b'{"a":"1"}'))[0] == 200
    assert (await post("INSERT INTO inbox FORMAT JSONEachRow", b'{"a":"x"}'))[0] >= 400
    assert (await post("SELECT sum(a) FROM kept"))[1] == b"1\n"


@pytest.mark.parametrize(("sql", "code", "status"), [("SELECT * FROM nope", "60", 404), ("SELEC 1", "62", 400)])
async def test_errors_carry_their_code(post, sql, code, status):
    found, body, headers = await post(sql)
    assert (found, headers["X-ClickHouse-Exception-Code"]) == (status, code)
    assert body.startswith(f"Code: {code}. DB::Exception:".encode())


async def test_the_client_sees_an_error_as_one(url):
    connection = await client(url)
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        await connection.query("SELECT * FROM nope")
    await connection.close()


@pytest.mark.parametrize(
    ("headers", "parameters"),
    [
        (BASIC, {}),
        ({"X-ClickHouse-User": "app", "X-ClickHouse-Key": "secret"}, {}),
        ({}, {"user": "app", "password": "secret"}),
    ],
)
async def test_each_way_to_authenticate(url, headers, parameters):
    async with (
        ClientSession() as session,
        session.get(url, params={"query": "SELECT 1", **parameters}, headers=headers) as r,
    ):
        assert (r.status, await r.text()) == (200, "1\n")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Basic !"},
        {"X-ClickHouse-User": "app", "X-ClickHouse-Key": "wrong"},
        {"X-ClickHouse-User": "default"},
    ],
)
async def test_nobody_gets_in_without_the_password(url, headers):
    async with ClientSession() as session, session.post(url, data=b"SELECT 1", headers=headers) as response:
        assert response.status == 403
        assert response.headers["X-ClickHouse-Exception-Code"] == "516"


async def test_external_data_is_refused_in_words(url):
    from aiohttp import FormData

    form = FormData()
    form.add_field("file", b"1\n", filename="x.csv")
    async with ClientSession(headers=BASIC) as session, session.post(url, data=form) as response:
        assert response.status == 501
        assert "external data" in await response.text()
