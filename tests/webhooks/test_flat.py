"""Bodies for Zapier and Make."""

from datetime import UTC, datetime

import orjson
import pytest

from domain.webhooks.flat import flat
from domain.webhooks.model import DERIVED, TYPES, Endpoint
from domain.webhooks.payload import of_event, of_result
from domain.webhooks.sample import sample
from tests.contract.messages import event, result

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_every_field_is_at_the_top_under_the_names_that_lead_to_it() -> None:
    found = flat("request.completed", "msg_1", "now", {"output": {"a": {"b": 1}}, "list": [1], "none": {}, "x": None})
    assert found == {
        "event": "request.completed", "delivery_id": "msg_1", "timestamp": "now", "output__a__b": 1, "list": "[1]",
        "none": None, "x": None,
    }  # fmt: skip


def test_an_output_without_end_is_flattened_to_a_depth() -> None:
    deep: dict[str, object] = {}
    for _ in range(200):
        deep = {"a": deep}
    assert len(flat("e", "m", "t", deep)) == 4


def test_hooks_get_results_and_events_flat_and_the_fields_that_were_chosen() -> None:
    hook = Endpoint("acme", "zap_1", "https://z.example", (), b"s", NOW, ("output",), kind="zapier")
    [message] = [one for one in of_result(result().value, [hook], None) if one.type == "request.completed"]
    body = orjson.loads(message.body)
    assert (body["event"], body["delivery_id"]) == ("request.completed", message.id)
    assert "usage__cost_usd" not in body
    [told] = of_event(event().value, [hook])
    assert orjson.loads(told.body)["event"] == told.type


@pytest.mark.parametrize("kind", TYPES)
def test_a_sample_has_no_level_but_one(kind: str) -> None:
    assert not any(isinstance(value, dict | list) for value in sample(kind, NOW).values())


FAILED = {
    "output": None,
    "error": {"code": "invalid_output", "message": "no", "attempts": 2, "errors": [{"path": "/a", "message": "no"}]},
}
FULL = {
    "template": {"name": "sentiment", "version": 2}, "output_schema": {"name": "label", "version": 1},
    "output": {"label": "negative"}, "metadata": {"ticket": "4711"}, "subject": "customer-7",
}  # fmt: skip
OF_RESULTS = {
    "request.completed": {},
    "request.failed": {"status": "failed", **FAILED},
    "request.rejected": {"status": "rejected", **FAILED},
    "cache.hit": {"cached": "exact", "cache": {"age_s": 1.0, "saved_usd": "0.1"}},
    "cache.miss": {},
}


@pytest.mark.parametrize("kind", DERIVED)
def test_a_sample_has_every_field_of_a_result_that_is_sent_and_no_other(kind: str) -> None:
    hook = Endpoint("acme", "zap_1", "https://z.example", (kind,), b"s", NOW, kind="zapier")
    [message] = of_result(result(**{**FULL, **OF_RESULTS[kind]}).value, [hook], None)
    sent, shown = orjson.loads(message.body), sample(kind, NOW)
    assert set(shown) == set(sent)
    assert (shown["status"], shown["cached"]) == (sent["status"], sent["cached"])


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("request.waiting", {"id", "run", "reason", "until", "epoch"}),
        ("request.cancelled", {"id", "run", "code"}),
        ("error.occurred", {"id", "run", "code", "reason"}),
        ("rate_limit.exceeded", {"id", "run", "wait_s", "rejected", "epoch"}),
        ("budget.exceeded", {"budget", "percent", "period", "period_start", "period_end", "limit_usd", "spent_usd",
                             "reserved_usd"}),
        ("provider.degraded", {"deployment", "provider", "model", "failures", "answers"}),
        ("webhook.disabled", {"endpoint", "reason", "failing_since"}),
    ],
)  # fmt: skip
def test_a_sample_of_an_event_has_what_the_event_says(kind: str, names: set[str]) -> None:
    assert set(sample(kind, NOW)) == {"event", "delivery_id", "timestamp", *names}
