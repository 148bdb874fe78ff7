"""A fake of BigQuery, written from its public protocol; no emulator and no real project stands behind it.

Tables: https://cloud.google.com/bigquery/docs/reference/rest/v2/tables (get, insert, patch with etags).
Streams: https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1 (BigQueryWrite:
CreateWriteStream, AppendRows, FinalizeWriteStream, committed streams with offsets). An append is taken whole or not at
all; one at an offset that was taken is ALREADY_EXISTS, one beyond the end OUT_OF_RANGE; a closed stream takes nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from aiohttp import web
from google.cloud.bigquery_storage_v1 import types
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

Table = dict[str, Any]
SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"


@dataclass
class Stream:
    table: str
    born: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    closed: bool = False


@dataclass
class BigQuery:
    """What it holds. `meet` is called with the name of each call before ("append") and after ("appended") it takes
    effect, and may raise Gone: the caller hears UNAVAILABLE.

    refuses:  says why a row is refused, or None
    denied:   an HTTP status and a gRPC code that everything is answered with
    kept:     makes what the rows of a new stream go into
    """

    datasets: set[str] = field(default_factory=set)
    tables: dict[str, Table] = field(default_factory=dict)
    streams: dict[str, Stream] = field(default_factory=dict)
    rest: str = ""
    write: str = ""
    refuses: Callable[[dict[str, Any]], str | None] = lambda _: None
    meet: Callable[[str], None] = lambda _: None
    denied: tuple[int, grpc.StatusCode] | None = None
    calls: list[str] = field(default_factory=list)
    kept: Callable[[], list[Any]] = list
    number: int = 0

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Of the table that has this name now."""
        born = self.tables[table]["creationTime"] if table in self.tables else None
        return [row for one in self.streams.values() if (one.table, one.born) == (table, born) for row in one.rows]

    def next(self) -> int:
        self.number += 1
        return self.number

    # --- tables ---

    async def get(self, request: web.Request) -> web.Response:
        name = self._name(request)
        return web.json_response(self.tables[name]) if name in self.tables else _refuse(404, "notFound", name)

    async def insert(self, request: web.Request) -> web.Response:
        given = await request.json()
        name = f"{self._name(request)}.{given['tableReference']['tableId']}"
        if name.rpartition(".")[0] not in self.datasets:
            return _refuse(404, "notFound", f"Not found: Dataset {name.rpartition('.')[0]}")
        if name in self.tables:
            return _refuse(409, "duplicate", f"Already Exists: Table {name}")
        self.tables[name] = {**given, "creationTime": str(1_700_000_000_000 + self.next()), "etag": str(self.next())}
        return web.json_response(self.tables[name])

    async def patch(self, request: web.Request) -> web.Response:
        table, given = self.tables[self._name(request)], await request.json()
        if request.headers.get("If-Match", "*") not in ("*", table["etag"]):
            return _refuse(412, "conditionNotMet", "Precondition check failed.")
        known = {one["name"] for one in table["schema"]["fields"]}
        fresh = [one for one in given["schema"]["fields"] if one["name"] not in known]
        if any(one.get("mode") == "REQUIRED" for one in fresh):
            return _refuse(400, "invalid", "Cannot add required fields to an existing schema.")
        table.update(given, etag=str(self.next()))
        return web.json_response(table)

    def _name(self, request: web.Request) -> str:
        return ".".join(
            request.match_info[name] for name in ("project", "dataset", "table") if name in request.match_info
        )

    # --- streams ---

    async def create(self, request: Any, context: Any) -> Any:
        await self._meet("create", context)
        name = _table(request.parent)
        if name not in self.tables:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"table {name}")
        stream = f"{request.parent}/streams/s{self.next()}"
        self.streams[stream] = Stream(name, self.tables[name]["creationTime"], self.kept())
        await self._meet("created", context)
        return types.WriteStream(name=stream, type_=request.write_stream.type_)

    async def finalize(self, request: Any, context: Any) -> Any:
        await self._meet("finalize", context)
        stream = self.streams.get(request.name)
        if stream is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"stream {request.name}")
        assert stream is not None
        stream.closed = True
        await self._meet("finalized", context)
        return types.FinalizeWriteStreamResponse(row_count=len(stream.rows))

    async def append(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        message: Any = None
        async for request in requests:
            await self._meet("append", context)
            if request.proto_rows.writer_schema.proto_descriptor.name:
                message = _message(request.proto_rows.writer_schema.proto_descriptor)
            answer = self._append(request, message)
            await self._meet("appended", context)
            yield answer

    def _append(self, request: Any, message: Any) -> Any:
        stream = self.streams.get(request.write_stream)
        if stream is None or self.tables.get(stream.table, {}).get("creationTime") != stream.born:
            return _error(grpc.StatusCode.NOT_FOUND, f"stream {request.write_stream}")
        if stream.closed:
            return _error(grpc.StatusCode.INVALID_ARGUMENT, "Stream has been finalized and cannot be appended")
        offset = request.offset if "offset" in request else len(stream.rows)
        if offset < len(stream.rows):
            return _error(grpc.StatusCode.ALREADY_EXISTS, f"expected offset {len(stream.rows)}, received {offset}")
        if offset > len(stream.rows):
            return _error(grpc.StatusCode.OUT_OF_RANGE, f"expected offset {len(stream.rows)}, received {offset}")
        columns = {one["name"]: one for one in self.tables[stream.table]["schema"]["fields"]}
        if {one.name for one in message.DESCRIPTOR.fields} - columns.keys():
            return _error(grpc.StatusCode.INVALID_ARGUMENT, "SCHEMA_MISMATCH_EXTRA_FIELDS")
        rows = [_row(message, text) for text in request.proto_rows.rows.serialized_rows]
        reasons = {index: reason for index, row in enumerate(rows) if (reason := self._refusal(row, columns))}
        if reasons:
            return types.AppendRowsResponse(
                error={"code": 3, "message": "Errors found while processing rows."},
                row_errors=[types.RowError(index=index, message=reason) for index, reason in reasons.items()],
            )
        stream.rows += rows
        return types.AppendRowsResponse(append_result={"offset": offset}, write_stream=request.write_stream)

    def _refusal(self, row: dict[str, Any], columns: dict[str, Any]) -> str | None:
        lacking = [name for name, one in columns.items() if one.get("mode") == "REQUIRED" and name not in row]
        return f"missing required fields: {lacking}" if lacking else self.refuses(row)

    async def _meet(self, name: str, context: Any) -> None:
        self.calls.append(name)
        if self.denied is not None:
            await context.abort(self.denied[1], "denied")
        try:
            self.meet(name)
        except Gone:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was lost")

    def application(self) -> web.Application:
        @web.middleware
        async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
            self.calls.append(request.method)
            if self.denied is not None:
                return _refuse(self.denied[0], "accessDenied", "Access Denied")
            answer: web.StreamResponse = await handler(request)
            return answer

        app = web.Application(middlewares=[guarded])
        tables = "/bigquery/v2/projects/{project}/datasets/{dataset}/tables"
        app.router.add_get(tables + "/{table}", self.get)
        app.router.add_post(tables, self.insert)
        app.router.add_patch(tables + "/{table}", self.patch)
        return app

    def handlers(self) -> Any:
        def plain(call: Any, asked: Any, answered: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(call, asked.deserialize, answered.serialize)

        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "CreateWriteStream": plain(self.create, types.CreateWriteStreamRequest, types.WriteStream),
                "FinalizeWriteStream": plain(
                    self.finalize, types.FinalizeWriteStreamRequest, types.FinalizeWriteStreamResponse
                ),
                "AppendRows": grpc.stream_stream_rpc_method_handler(
                    self.append, types.AppendRowsRequest.deserialize, types.AppendRowsResponse.serialize
                ),
            },
        )


class Gone(Exception):
    """The connection breaks here."""


@asynccontextmanager
async def bigquery(*datasets: str) -> AsyncIterator[BigQuery]:
    """Listening on this machine, `rest` and `write`, until the end."""
    fake = BigQuery(set(datasets))
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((fake.handlers(),))
    fake.write = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    runner = web.AppRunner(fake.application())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.rest = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
        await server.stop(0)


async def main() -> None:
    """Serve until killed, for processes of their own: prints the two addresses."""
    async with bigquery("project.results") as fake:
        print(fake.rest, fake.write, flush=True)
        await asyncio.Event().wait()


def _table(path: str) -> str:
    """projects/p/datasets/d/tables/t."""
    return ".".join(path.split("/")[1::2])


def _message(descriptor: Any) -> Any:
    """The class of the rows, from what the writer says of them."""
    raw = type(descriptor).pb(descriptor) if hasattr(type(descriptor), "pb") else descriptor
    file = descriptor_pb2.FileDescriptorProto(name="rows.proto", package="given", syntax="proto2")
    file.message_type.add().CopyFrom(raw)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"given.{raw.name}"))


def _row(message: Any, text: bytes) -> dict[str, Any]:
    read = message()
    read.ParseFromString(text)
    found: dict[str, Any] = json_format.MessageToDict(read, preserving_proto_field_name=True)
    return found


def _error(code: grpc.StatusCode, message: str) -> Any:
    return types.AppendRowsResponse(error={"code": code.value[0], "message": message})


def _refuse(status: int, reason: str, message: str) -> web.Response:
    error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
    return web.json_response({"error": error}, status=status)


if __name__ == "__main__":
    asyncio.run(main())
