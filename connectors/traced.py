"""Calls of models and writes of sinks as spans. Only where traces are recorded: without them nothing is wrapped."""

from collections.abc import Iterator, Sequence
from itertools import islice

from domain.errors import ModelError
from domain.ports import Item, Model, Refused, Sink
from domain.routing.model import ModelCall, ModelReply
from domain.tracing import NoTracing, Span, Tracing, Value, is_sampled, received
from topics.headers import TRACEPARENT

MOST = 512
"""Spans of one batch: more at once would push others out of the exporter's queue."""


def traced_model(model: Model, tracing: Tracing) -> Model:
    return model if isinstance(tracing, NoTracing) else TracedModel(model, tracing)


def traced_sink(sink: Sink, tracing: Tracing, name: str) -> Sink:
    return sink if isinstance(tracing, NoTracing) else TracedSink(sink, tracing, name)


class TracedModel:
    """Implements domain.ports.Model around another: a span an attempt, without what was asked and answered."""

    def __init__(self, model: Model, tracing: Tracing) -> None:
        self._model = model
        self._tracing = tracing

    async def call(self, call: ModelCall) -> ModelReply:
        with self._tracing.start(f"chat {call.deployment.model}", call.traceparent, "client") as span:
            if span.recording:
                span.note(_asked(call))
            try:
                reply = await self._model.call(call)
            except ModelError as error:
                span.end(error.outcome)
                raise
            if span.recording:
                span.note(_answered(reply))
            return reply

    async def close(self) -> None:
        await self._model.close()


class TracedSink:
    """Implements domain.ports.Sink around another: a span for each record whose trace is recorded, MOST of a batch."""

    def __init__(self, sink: Sink, tracing: Tracing, name: str) -> None:
        self._sink = sink
        self._tracing = tracing
        self._name = name
        self.topics = sink.topics

    async def open(self) -> None:
        await self._sink.open()

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        spans = dict(islice(((item[:3], self._span(item, parent)) for item, parent in _sampled(batch)), MOST))
        failed = "cancelled"
        try:
            refused = await self._sink.write(batch)
            failed = ""
        except Exception as error:
            failed = type(error).__name__
            raise
        finally:
            lost = () if failed else {one.item[:3] for one in refused}
            for place, span in spans.items():
                span.end("refused" if place in lost else failed)
        return refused

    async def close(self) -> None:
        await self._sink.close()

    def _span(self, item: Item, parent: str) -> Span:
        span = self._tracing.start(f"process {item.topic}", parent, "consumer")
        if span.recording:
            span.note(received(item.topic, item.partition, item.offset) | {"structured_prompt.sink": self._name})
        return span


def _sampled(batch: Sequence[Item]) -> Iterator[tuple[Item, str]]:
    for item in batch:
        parent = next((value.decode("ascii", "replace") for name, value in item.headers if name == TRACEPARENT), None)
        if parent is not None and is_sampled(parent):
            yield item, parent


def _asked(call: ModelCall) -> dict[str, Value]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": call.deployment.provider,
        "gen_ai.request.model": call.deployment.model,
        "gen_ai.output.type": "text" if call.output_schema is None else "json",
    }


def _answered(reply: ModelReply) -> dict[str, Value]:
    return {
        "gen_ai.usage.input_tokens": reply.tokens.input,
        "gen_ai.usage.output_tokens": reply.tokens.output,
        "gen_ai.response.finish_reasons": (reply.finish,),
    }
