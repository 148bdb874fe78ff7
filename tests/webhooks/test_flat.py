"""Bodies for Zapier and Make."""

from datetime import UTC, datetime

import orjson

from domain.webhooks.flat import flat
from domain.webhooks.model import Endpoint
from domain.webhooks.payload import of_event, of_result, sample
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


def test_a_sample_has_no_level_but_one() -> None:
    assert not any(isinstance(value, dict | list) for value in sample("batch.completed", NOW).values())
