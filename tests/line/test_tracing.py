"""One trace from the caller's request through both stages to the sink, as a collector is sent it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from opentelemetry.semconv._incubating.attributes import (
    error_attributes,
    gen_ai_attributes,
    http_attributes,
    messaging_attributes,
    url_attributes,
)

from connectors.memory.model import says
from connectors.memory.sink import MemorySink
from connectors.telemetry.tracing import tracing
from connectors.traced import TracedModel, TracedSink, traced_model, traced_sink
from domain.errors import ModelError, Unavailable
from domain.ports import Item
from domain.tracing import NoTracing, Tracing
from tests.api.door import Door
from tests.contract.messages import NOON, result
from tests.line.memory_line import MemoryLine, request
from tests.telemetry.otlp import Receiver, Seen
from topics.table import REQUESTS, RESULTS

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "the parcel of Mrs Silver"
CONVENTIONS = {
    value
    for module in (error_attributes, gen_ai_attributes, http_attributes, messaging_attributes, url_attributes)
    for value in vars(module).values()
    if isinstance(value, str)
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver().serving() as found:
        yield found


def traced_line(on: Tracing) -> MemoryLine:
    line = MemoryLine(tracing=on)
    line.model = TracedModel(line.model, on)  # type: ignore[assignment]
    return line


async def carried(line: MemoryLine, on: Tracing, headers: list[tuple[str, bytes]]) -> None:
    """A request from its record on prompt.requests to the rows of a sink."""
    await line.intake().handle_batch([line.publish(request(prompt=SECRET), headers=headers)])
    await (await line.infer()).handle(line.calls()[0])
    sink = TracedSink(MemorySink(), on, "memory")
    await sink.write([item for partition in range(4) for item in line.broker.read(RESULTS, partition, 0)])


async def test_one_trace_goes_from_the_http_request_through_both_stages_to_the_sink(receiver: Receiver) -> None:
    on, door = tracing(receiver.url, "structured-prompt-test", "1"), Door()
    door.ports = replace(door.ports, tracing=on)
    async with door.opened():
        body = {name: value for name, value in request(prompt=SECRET).items() if name != "tenant"}
        while (await door.ask(body, "/v1/analyze/async")).status_code == 503:
            continue  # a machine with much else to do: the client asks again
        produced = door.broker.log[REQUESTS][-1]
    line = traced_line(on)
    await carried(line, on, list(produced.headers))
    on.close()
    by_name = {span.name: span for span in receiver.spans()}
    http, intake, infer = (by_name[name] for name in ("POST /v1/analyze/async", "process prompt.requests", INFER))
    chat, sink = by_name["chat small"], by_name["process prompt.results"]
    assert {span.trace for span in by_name.values()} == {http.trace}
    assert [span.parent for span in (http, intake, infer, chat, sink)] == ["", http.id, intake.id, infer.id, infer.id]
    assert (http.kind, intake.kind, chat.kind) == ("SPAN_KIND_SERVER", "SPAN_KIND_CONSUMER", "SPAN_KIND_CLIENT")
    assert http.attributes["http.response.status_code"] == 202
    assert intake.attributes["structured_prompt.request.id"] == "r1"
    assert chat.attributes["gen_ai.usage.input_tokens"] > 0
    assert sink.attributes["structured_prompt.sink"] == "memory"
    assert receiver.paths == {"/v1/traces"}


INFER = "process prompt.calls.standard"


async def test_no_span_holds_what_was_asked_or_answered_and_all_names_are_of_the_conventions(
    receiver: Receiver,
) -> None:
    on = tracing(receiver.url, "structured-prompt-test", "1")
    await carried(traced_line(on), on, [("traceparent", PARENT.encode())])
    on.close()
    assert len(receiver.spans()) == 4
    assert not any(word in body for body in receiver.bodies for word in (SECRET.encode(), b"good", b"label"))
    names = {name for span in receiver.spans() for name in span.attributes}
    assert {name for name in names if not name.startswith("structured_prompt.")} <= CONVENTIONS


async def test_what_the_sender_does_not_record_is_not_recorded_here(receiver: Receiver) -> None:
    on = tracing(receiver.url, "structured-prompt-test", "1")
    line = traced_line(on)
    await carried(line, on, [("traceparent", PARENT.removesuffix("01").encode() + b"00")])
    on.close()
    assert receiver.bodies == []
    headers = dict(line.broker.log[RESULTS][0].headers)
    assert headers["traceparent"].startswith(PARENT[:35].encode())


async def test_a_failed_call_and_a_failed_write_say_how(receiver: Receiver) -> None:
    on = tracing(receiver.url, "structured-prompt-test", "1")
    line = MemoryLine([ModelError(SECRET, outcome="rate_limited", sent=True, retryable=True)], tracing=on)
    line.model = TracedModel(line.model, on)  # type: ignore[assignment]
    await line.intake().handle_batch([line.publish(request(), headers=[("traceparent", PARENT.encode())])])
    await (await line.infer()).handle(line.calls()[0])
    with pytest.raises(Unavailable):
        await TracedSink(MemorySink([Unavailable(SECRET)]), on, "memory").write([item(0)])
    refused = await TracedSink(MemorySink(), on, "memory").write([item(1, b"no result"), item(2)])
    on.close()
    found: list[Seen] = [span for span in receiver.spans() if span.failed]
    errors = {(span.name, span.attributes["error.type"]) for span in found}
    assert errors == {
        ("chat small", "rate_limited"),
        ("process prompt.results", "Unavailable"),
        ("process prompt.results", "refused"),
    }
    assert [one.item.offset for one in refused] == [1]
    assert not any(SECRET.encode() in body for body in receiver.bodies)


def item(offset: int, value: bytes | None = None, traceparent: str = PARENT) -> Item:
    headers = [("traceparent", traceparent.encode())]
    return Item(RESULTS, 0, offset, NOON, None, value or result("r1").value, headers)


async def test_a_batch_that_would_fill_the_queue_is_recorded_in_part(receiver: Receiver) -> None:
    on = tracing(receiver.url, "structured-prompt-test", "1")
    assert await TracedSink(MemorySink(), on, "memory").write([item(number) for number in range(700)]) == []
    on.close()
    assert len(receiver.spans()) == 512


async def test_without_tracing_nothing_is_wrapped_and_the_callers_trace_still_reaches_the_result() -> None:
    line, sink = MemoryLine([says({"label": "good"})]), MemorySink()
    assert traced_model(line.model, NoTracing()) is line.model
    assert traced_sink(sink, NoTracing(), "memory") is sink
    await line.intake().handle_batch([line.publish(request(), headers=[("traceparent", PARENT.encode())])])
    await (await line.infer()).handle(line.calls()[0])
    assert dict(line.broker.log["prompt.results"][0].headers)["traceparent"] == PARENT.encode()
