"""A real receiver of OTLP over HTTP on this machine: what a collector or Jaeger would be sent."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


class Seen(NamedTuple):
    """A span as it arrived. Ids are hexadecimal; kind is OTLP's name for it."""

    name: str
    service: str
    trace: str
    id: str
    parent: str
    kind: str
    attributes: dict[str, Any]
    failed: bool


class Receiver:
    """`bodies` are the requests as they came, decompressed."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        receiver = self

        class Door(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                zipped = self.headers.get("content-encoding") == "gzip"
                receiver.paths.add(self.path)
                receiver.bodies.append(gzip.decompress(body) if zipped else body)
                answer = ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                """Tests are quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def spans(self) -> list[Seen]:
        return [span for body in self.bodies for span in _spans(body)]

    @contextmanager
    def serving(self) -> Iterator["Receiver"]:
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()


def _spans(body: bytes) -> Iterator[Seen]:
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        about = {one.key: _value(one.value) for one in resource.resource.attributes}
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            yield Seen(
                span.name, about["service.name"], span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(),
                span.SpanKind.Name(span.kind), {one.key: _value(one.value) for one in span.attributes},
                span.status.code == span.status.STATUS_CODE_ERROR,
            )  # fmt: skip


def _value(given: Any) -> Any:
    kind = given.WhichOneof("value")
    return [_value(one) for one in given.array_value.values] if kind == "array_value" else getattr(given, kind)
