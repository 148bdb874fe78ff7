"""A trace goes on through headers, whether or not anybody records it."""

import subprocess
import sys
import time

import pytest

from connectors.telemetry.opentelemetry import OpenTelemetryTracing
from connectors.telemetry.tracing import tracing
from domain.errors import MissingExtra
from domain.tracing import NoTracing, is_sampled, new_traceparent, trace_id, valid_traceparent
from tests.telemetry.otlp import Receiver

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_off_means_handed_on_unchanged() -> None:
    with tracing(None, "structured-prompt-infer", "1").start("infer", PARENT) as span:
        assert (span.traceparent, span.recording) == (PARENT, False)


def test_off_means_that_nothing_of_opentelemetry_is_loaded() -> None:
    program = "import sys, connectors.traced, connectors.telemetry.tracing; print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


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


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True)])
def test_the_last_bit_says_whether_the_sender_records(flags: str, sampled: bool) -> None:
    assert is_sampled(PARENT[:-2] + flags) is sampled
    assert not is_sampled(None)
    assert not is_sampled("nonsense-01")


def test_a_recorded_span_continues_its_parent_and_names_its_error_once() -> None:
    with Receiver().serving() as receiver:
        on = tracing(receiver.url, "structured-prompt-infer", "1")

        def fail() -> str:
            with on.start("infer", PARENT, "consumer") as span:
                span.note({"lane": "bulk"})
                handed_on = span.traceparent
                on.start("call", handed_on).end()
                raise TimeoutError(handed_on)

        with pytest.raises(TimeoutError) as caught:
            fail()
        on.close()
        call, infer = receiver.spans()
    assert (infer.parent, call.parent) == ("b7ad6b7169203331", infer.id)
    assert trace_id(str(caught.value)) == trace_id(PARENT) == infer.trace
    assert (infer.failed, call.failed, infer.service) == (True, False, "structured-prompt-infer")
    assert infer.attributes == {"lane": "bulk", "error.type": "TimeoutError"}


def test_an_endpoint_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "connectors.telemetry.opentelemetry", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtra, match=r"structured-prompt\[otel\]"):
        tracing("http://127.0.0.1:4318", "structured-prompt-infer", "1")


def test_a_receiver_that_is_away_holds_up_no_stop() -> None:
    on = tracing("http://127.0.0.1:9", "structured-prompt-infer", "1")
    assert isinstance(on, OpenTelemetryTracing)
    on.start("infer", PARENT).end()
    began = time.monotonic()
    on.close()
    assert time.monotonic() - began < 60
