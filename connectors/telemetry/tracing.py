"""OpenTelemetry traces over OTLP/HTTP; off unless an endpoint is set. Needs the extra `otel`."""

from typing import TYPE_CHECKING, Self

from opentelemetry import trace
from opentelemetry.trace import Span as OpenTelemetrySpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.errors import MissingExtra
from domain.tracing import NoTracing, Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_W3C = TraceContextTextMapPropagator()


def tracing(endpoint: str | None, service: str, version: str) -> Tracing:
    """Traces to `endpoint` (the base URL, `/v1/traces` is added), or none. Raises MissingExtra.

    `service` names the process in the trace viewer, e.g. `structured-prompt-infer`.
    """
    if endpoint is None:
        return NoTracing()
    return OpenTelemetryTracing(_provider(endpoint, service, version))


def _provider(endpoint: str, service: str, version: str) -> "TracerProvider":
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtra("OTEL_EXPORTER_OTLP_ENDPOINT", "otel") from error
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


class OpenTelemetryTracing:
    """Implements Tracing; spans are sent in batches by a thread of the SDK."""

    def __init__(self, provider: "TracerProvider") -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("structured_prompt")

    def start(self, name: str, parent: str | None = None, /, **attributes: str | int) -> "RecordedSpan":
        context = _W3C.extract({"traceparent": parent}) if parent else None
        kind = SpanKind.CONSUMER if parent else SpanKind.INTERNAL
        return RecordedSpan(self._tracer.start_span(name, context=context, kind=kind, attributes=attributes))

    def close(self) -> None:
        self._provider.shutdown()


class RecordedSpan:
    """Implements Span."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: OpenTelemetrySpan) -> None:
        self._span = span
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, trace.set_span_in_context(span))
        self.traceparent = carrier["traceparent"]

    def end(self, error: str = "") -> None:
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        if self._span.is_recording():
            self._span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.end(type(error).__name__ if error else "")
