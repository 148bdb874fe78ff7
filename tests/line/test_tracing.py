"""One trace from the caller's request through both stages to the result."""

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from connectors.telemetry.tracing import OpenTelemetryTracing
from tests.line.memory_line import MemoryLine, request

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_trace_goes_from_the_request_through_intake_and_infer_to_the_result() -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    line = MemoryLine(tracing=OpenTelemetryTracing(provider))
    await line.intake().handle_batch([line.publish(request(), headers=[("traceparent", PARENT.encode())])])
    await (await line.infer()).handle(line.calls()[0])
    intake, infer = exporter.get_finished_spans()
    assert (intake.name, infer.name) == ("intake", "infer")
    assert f"{intake.context.trace_id:032x}" == PARENT.split("-")[1]
    assert infer.parent is not None
    assert infer.parent.span_id == intake.context.span_id
    carried = dict(line.broker.log["prompt.results"][0].headers)["traceparent"].decode()
    assert carried.split("-")[1:3] == [PARENT.split("-")[1], f"{infer.context.span_id:016x}"]


async def test_without_tracing_the_callers_trace_still_reaches_the_result() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request(), headers=[("traceparent", PARENT.encode())])])
    await (await line.infer()).handle(line.calls()[0])
    assert dict(line.broker.log["prompt.results"][0].headers)["traceparent"] == PARENT.encode()
