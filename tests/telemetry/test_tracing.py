"""A trace goes on through headers, whether or not anybody records it."""

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connectors.telemetry.tracing import OpenTelemetryTracing, tracing
from domain.errors import MissingExtra
from domain.tracing import NoTracing, new_traceparent, trace_id, valid_traceparent

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_off_means_handed_on_unchanged() -> None:
    with tracing(None, "structured-prompt-infer", "1").start("infer", PARENT) as span:
        assert span.traceparent == PARENT


@pytest.mark.parametrize("parent", [None, "", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", PARENT + "\n"])
def test_what_is_missing_or_malformed_starts_a_new_trace(parent: str | None) -> None:
    first, second = NoTracing().start("intake", parent), NoTracing().start("intake", parent)
    assert valid_traceparent(first.traceparent)
    assert first.traceparent != second.traceparent


def test_a_generated_traceparent_is_valid_and_has_its_trace_id() -> None:
    made = new_traceparent()
    assert valid_traceparent(made)
    assert trace_id(made) == made.split("-")[1]
    assert not valid_traceparent(None)


def test_a_recorded_span_continues_its_parent_and_names_its_error() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    on = OpenTelemetryTracing(provider)

    def fail() -> str:
        with on.start("infer", PARENT, lane="bulk") as span:
            handed_on = span.traceparent
            on.start("call", handed_on).end()
            raise TimeoutError(handed_on)

    with pytest.raises(TimeoutError) as caught:
        fail()
    call, infer = exporter.get_finished_spans()
    assert infer.parent is not None
    assert call.parent is not None
    assert f"{infer.parent.span_id:016x}" == "b7ad6b7169203331"
    assert call.parent.span_id == infer.context.span_id
    assert trace_id(str(caught.value)) == trace_id(PARENT)
    assert infer.status.description == "TimeoutError"
    assert dict(infer.attributes or {}) == {"lane": "bulk"}
    on.close()


def test_an_endpoint_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtra, match=r"structured-prompt\[otel\]"):
        tracing("http://127.0.0.1:4318", "structured-prompt-infer", "1")


def test_an_endpoint_turns_tracing_on() -> None:
    on = tracing("http://127.0.0.1:9", "structured-prompt-infer", "1")
    assert isinstance(on, OpenTelemetryTracing)
    on.close()
