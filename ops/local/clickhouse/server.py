"""ClickHouse's HTTP protocol over chDB: `python -m ops.local.clickhouse.server --port N --path DIR --password-file F`.

Enough of it for clickhouse-connect (sync and async), curl and our sink: GET and POST, Basic, header and parameter
authentication, settings, query parameters, Native and text formats, gzip, lz4, zstd and deflate, streamed reads, error
codes. Not there: sessions with temporary tables, external data, users and row policies: those need a real server.
"""

import argparse
import asyncio
import base64
import binascii
import hmac
import json
import re
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from .engine import Engine, Rest, quoted_name
from .resting import Resting
from .statement import BadRequest, decompressed, parse

USER = "app"
DATABASE = "structured_prompt"
MAX_BODY = 1 << 30
CODE = re.compile(r"Code: (\d+)")
# As exceptionCodeToHTTPStatus in ClickHouse's HTTPHandler.cpp; the rest is 500.
STATUS = {
    **dict.fromkeys((6, 26, 27, 36, 38, 41, 43, 53, 62, 70, 72, 117, 130, 306), 400),
    **dict.fromkeys((192, 193, 516), 403),
    **dict.fromkeys((46, 47, 50, 56, 60, 73, 78, 79, 80, 81, 115, 511), 404),
    48: 501,
    164: 403,
    194: 401,
}


class Server:
    def __init__(self, engine: Engine, password: str) -> None:
        self._engine = engine
        self._password = password
        self._resting = Resting()

    async def rest(self, _: web.Application) -> AsyncIterator[None]:
        """While the server runs: see Resting."""
        task = asyncio.ensure_future(self._resting.keep())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def statement(self, request: web.Request) -> web.StreamResponse:
        headers = {
            "X-ClickHouse-Query-Id": request.query.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Server-Display-Name": "embedded",
        }
        try:
            return await self._answer(request, headers)
        except Exception as error:  # noqa: BLE001 (chDB raises RuntimeError for everything; the client gets its text)
            return _refusal(error, headers)

    async def _answer(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        self._authenticate(request)
        body = decompressed(await request.read(), request.headers.get("Content-Encoding", ""))
        if body and request.content_type == "multipart/form-data":
            raise BadRequest(48, "external data is not supported by the embedded engine (NOT_IMPLEMENTED)")
        statement = parse(request.query, body)
        database = request.query.get("database") or request.headers.get("X-ClickHouse-Database") or DATABASE
        self._resting.used()
        answer = await self._engine.run(statement, database)
        headers["X-ClickHouse-Format"] = statement.format
        if answer.more is not None:
            return await _streamed(request, answer.body, answer.more, headers)
        summary = {"read_rows": str(answer.read_rows), "written_rows": str(answer.written_rows)}
        headers["X-ClickHouse-Summary"] = json.dumps(summary)
        return web.Response(body=answer.body, headers=headers)

    def _authenticate(self, request: web.Request) -> None:
        user, password = _credentials(request)
        if user != USER or not hmac.compare_digest(password.encode(), self._password.encode()):
            raise BadRequest(
                516,
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name. "
                "(AUTHENTICATION_FAILED)",
            )


def _credentials(request: web.Request) -> tuple[str, str]:
    """X-ClickHouse-User and -Key, or Basic, or the parameters `user` and `password`."""
    headers = request.headers
    if "X-ClickHouse-User" in headers:
        return headers["X-ClickHouse-User"], headers.get("X-ClickHouse-Key", "")
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(token).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise BadRequest(516, "the Authorization header is not readable (AUTHENTICATION_FAILED)") from None
        return user, password
    return request.query.get("user", "default"), request.query.get("password", "")


def _refusal(error: Exception, headers: dict[str, str]) -> web.Response:
    found = CODE.search(str(error))
    code = int(found.group(1)) if found else 1002
    text = str(error)[found.start() :] if found else f"Code: 1002. DB::Exception: {error} (UNKNOWN_EXCEPTION)"
    headers["X-ClickHouse-Exception-Code"] = str(code)
    return web.Response(status=STATUS.get(code, 500), text=text + "\n", headers=headers)


async def _streamed(request: web.Request, first: bytes, more: Rest, headers: dict[str, str]) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(request)
        await response.write(first)
        async for piece in more.pieces():
            await response.write(piece)
        await response.write_eof()
    except Exception:
        # The status is sent: only a broken connection tells the client that the result is not whole.
        if request.transport is not None:
            request.transport.abort()
        raise
    finally:
        await more.close()
    return response


def application(engine: Engine, password: str) -> web.Application:
    server = Server(engine, password)
    app = web.Application(client_max_size=MAX_BODY)
    app.cleanup_ctx.append(server.rest)
    app.router.add_get("/ping", server.ping)
    app.router.add_route("GET", "/", server.statement)
    app.router.add_route("POST", "/", server.statement)
    return app


async def opened(path: Path) -> Engine:
    """The engine on the files in `path`, with our database."""
    engine = Engine(str(path))
    await engine.run(parse({"query": f"CREATE DATABASE IF NOT EXISTS {quoted_name(DATABASE)}"}, b""), "default")
    return engine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    options = parser.parse_args()

    async def serve() -> web.Application:
        engine = await opened(options.path)

        async def close(_: web.Application) -> None:
            await asyncio.to_thread(engine.close)

        app = application(engine, options.password_file.read_text().strip())
        app.on_cleanup.append(close)
        return app

    web.run_app(serve(), host="127.0.0.1", port=options.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
