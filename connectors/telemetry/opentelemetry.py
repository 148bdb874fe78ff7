"""Spans of OpenTelemetry's SDK, sent over OTLP/HTTP in batches by a thread of it. Needs the extra `otel`.

Whether a trace is recorded is its parent's doing; where it begins here, OTEL_TRACES_SAMPLER says. The SDK reads that
and its other variables (OTEL_EXPORTER_OTLP_HEADERS, OTEL_BSP_*) by itself.
"""

from collections.abc import Mapping
from typing import Self

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span as VendorSpan
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from domain.tracing import Kind, Value

SEND_S = 3.0
"""After which a batch of spans is given up, so that a stop does not wait for a receiver that is away."""
_W3C = TraceContextTextMapPropagator()
_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}


def provider_to(endpoint: str, service: str, version: str) -> TracerProvider:
    """Spans of it go to `endpoint`/v1/traces."""
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    exporter = OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=SEND_S)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def recorded_by(provider: TracerProvider) -> "OpenTelemetryTracing":
    return OpenTelemetryTracing(provider)


class OpenTelemetryTracing:
    """Implements Tracing."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer: Tracer = provider.get_tracer("structured_prompt")

    def start(self, name: str, parent: str | None = None, kind: Kind = "internal", /) -> "RecordedSpan":
        context = _W3C.extract({"traceparent": parent}) if parent else None
        return RecordedSpan(self._tracer.start_span(name, context=context, kind=_KINDS[kind]))

    def close(self) -> None:
        self._provider.shutdown()


class RecordedSpan:
    """Implements Span."""

    __slots__ = ("_span", "recording", "traceparent")

    def __init__(self, span: VendorSpan) -> None:
        self._span = span
        self.recording = span.is_recording()
        is_at = span.get_span_context()
        self.traceparent = f"00-{is_at.trace_id:032x}-{is_at.span_id:016x}-{is_at.trace_flags:02x}"

    def note(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes(attributes)

    def end(self, error: str = "") -> None:
        if not self.recording:
            return
        self.recording = False
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.end(type(error).__name__ if error else "")
