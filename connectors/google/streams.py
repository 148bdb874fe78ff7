"""Committed streams of BigQuery's Storage Write API: rows at an offset, each of them once.

Protocol: https://cloud.google.com/bigquery/docs/reference/storage/rpc/google.cloud.bigquery.storage.v1
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from connectors.alone import without
from domain.errors import MissingExtra, Unavailable

ENDPOINT = "bigquerystorage.googleapis.com"
ONCE: dict[str, Any] = {"timeout": 60.0, "retry": None}
"""Whoever calls repeats it, and knows when."""
REMEDIES = {
    "PERMISSION_DENIED": "grant roles/bigquery.dataEditor on the dataset",
    "UNAUTHENTICATED": "check the credentials",
    "NOT_FOUND": "is the table still there? It is looked for again",
    "INVALID_ARGUMENT": "the table's schema may have changed a moment ago; it is looked at again",
    "RESOURCE_EXHAUSTED": "a quota of the project is used up: ask Google for more, or send larger batches",
}


class RowsRefused(Exception):
    """None of an append was taken: the reason by the index of each row at fault."""

    def __init__(self, reasons: dict[int, str]) -> None:
        super().__init__("rows were refused")
        self.reasons = reasons


class Streams:
    """For one event loop. Without credentials: a server for tests, without TLS."""

    def __init__(self, credentials: Any, endpoint: str | None = None) -> None:
        """Raises MissingExtra."""
        try:
            with without("pandas", "pyarrow", "numpy", "fastavro"):
                from google.cloud.bigquery_storage_v1 import types
                from google.cloud.bigquery_storage_v1.services.big_query_write import async_client, transports
        except ImportError:
            raise MissingExtra("BigQuery", "bigquery") from None
        self._types, self._client_type, self._transports = types, async_client, transports
        self._credentials = credentials
        self._endpoint = endpoint or ENDPOINT
        self._made: Any = None

    async def create(self, table: str) -> str:
        """A new committed stream; `table` as projects/…/datasets/…/tables/…. Raises Unavailable."""
        kind = self._types.WriteStream(type_=self._types.WriteStream.Type.COMMITTED)
        made = await self._call(self._client().create_write_stream(parent=table, write_stream=kind, **ONCE))
        return str(made.name)

    async def finalize(self, stream: str) -> int | None:
        """Close it for everybody, and how many rows it has; None when it is gone. Raises Unavailable."""
        from google.api_core.exceptions import NotFound

        try:
            closed = await self._client().finalize_write_stream(name=stream, **ONCE)
        except NotFound:
            return None
        except Exception as error:
            raise self._translate(error) from error
        return int(closed.row_count)

    async def append(self, stream: str, offset: int, descriptor: Any, rows: Sequence[bytes]) -> None:
        """Returns when they are durable, and the first of them is row `offset`. Raises RowsRefused, Unavailable."""
        raw = self._types.AppendRowsRequest.pb()()
        raw.write_stream = stream
        raw.offset.value = offset
        raw.proto_rows.writer_schema.proto_descriptor.CopyFrom(descriptor)
        raw.proto_rows.rows.serialized_rows.extend(rows)

        async def requests() -> AsyncIterator[Any]:
            yield self._types.AppendRowsRequest.wrap(raw)

        try:
            metadata = (("x-goog-request-params", f"write_stream={stream}"),)
            answers = await self._client().append_rows(requests(), metadata=metadata, **ONCE)
            # to the end of the call, so that nothing of it is left behind
            given = [answer async for answer in answers]
        except Exception as error:
            raise self._translate(error) from error
        self._judge(given)

    async def close(self) -> None:
        made, self._made = self._made, None
        if made is not None:
            await made.transport.close()

    def _judge(self, answers: Sequence[Any]) -> None:
        if not answers:
            raise Unavailable("BigQuery ended an append without an answer")
        (answer, *_) = answers
        if answer.row_errors:
            raise RowsRefused({one.index: f"BigQuery: {one.message[:300]}" for one in answer.row_errors})
        if answer.error.code:
            import grpc

            names = {code.value[0]: code.name for code in grpc.StatusCode}
            raise self._unavailable(names.get(answer.error.code, str(answer.error.code)), answer.error.message)

    async def _call(self, call: Any) -> Any:
        try:
            return await call
        except Exception as error:
            raise self._translate(error) from error

    def _translate(self, error: Exception) -> Exception:
        """What is no error of BigQuery's or of the network is a fault of ours, and stays what it is."""
        import grpc
        from google.api_core.exceptions import GoogleAPICallError
        from google.auth.exceptions import GoogleAuthError

        if isinstance(error, GoogleAPICallError):
            code = error.grpc_status_code
            return self._unavailable(code.name if code is not None else "UNKNOWN", str(error.message))
        if isinstance(error, grpc.aio.AioRpcError):
            return self._unavailable(error.code().name, error.details() or "")
        if isinstance(error, GoogleAuthError):
            return self._unavailable("UNAUTHENTICATED", type(error).__name__)
        return error

    def _unavailable(self, code: str, said: str) -> Unavailable:
        remedy = REMEDIES.get(code, "it is asked again")
        return Unavailable(f"BigQuery at {self._endpoint} answered {code}: {said[:300]}; {remedy}")

    def _client(self) -> Any:
        """Made when first used: it belongs to the running loop."""
        if self._made is None:
            kind = self._transports.BigQueryWriteGrpcAsyncIOTransport
            if self._credentials is None:
                import grpc

                transport = kind(channel=grpc.aio.insecure_channel(self._endpoint))
            else:
                transport = kind(host=self._endpoint, credentials=self._credentials)
            self._made = self._client_type.BigQueryWriteAsyncClient(transport=transport)
        return self._made
