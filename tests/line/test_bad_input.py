"""Bad input: a clear reason, a dead letter or a rejected result, nothing lost, no partition blocked (contracts.md)."""

import json
from typing import Any

import pytest

from tests.line.memory_line import MemoryLine, request
from topics.records import DeadLetter, LifecycleEvent


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


LETTERS = {
    "not JSON": (b"hello", "unreadable"),
    "empty": (b"", "unreadable"),
    "cut JSON": (b'{"id": "r1", "tenant": "acme", "prompt": "x', "unreadable"),
    "wrong UTF-8": (b'{"id": "r1", "tenant": "acme", "prompt": "\xff\xfe"}', "unreadable"),
    "NaN": (b'{"id": "r1", "tenant": "acme", "prompt": "x", "metadata": {"a": NaN}}', "unreadable"),
    "a lone surrogate": (b'{"id": "r1", "tenant": "acme", "prompt": "\\ud800"}', "unreadable"),
    "an array": (b"[1, 2]", "unreadable"),
    "no id": (json.dumps({"tenant": "acme", "prompt": "x"}).encode(), "invalid_request"),
    "no tenant": (json.dumps({"id": "r1", "prompt": "x"}).encode(), "invalid_request"),
    "an id of 256 characters": (json.dumps(request("x" * 256)).encode(), "invalid_request"),
    "an unknown tenant": (json.dumps(request(tenant="nobody")).encode(), "unknown_tenant"),
}

REJECTED = {
    "200 levels deep": request(metadata=nested(200)),
    "10,000 properties": request(**{f"p{number}": 1 for number in range(10_000)}),
    "two prompts": request(messages=[{"role": "user", "content": "x"}]),
    "no prompt": {"id": "r1", "tenant": "acme"},
    "an unknown field": request(temprature=1),
    "a wrong type": request(parameters={"temperature": "hot"}),
    "an invalid output schema": request(output_schema={"type": "objekt"}),
    "a remote $ref": request(output_schema={"$ref": "https://example.com/schema.json"}),
    "a schema 70 levels deep": request(output_schema=nested(70)),
    "an unknown template": {"id": "r1", "tenant": "acme", "template": {"name": "sentimant", "variables": {}}},
    "a template without its variable": {"id": "r1", "tenant": "acme", "template": {"name": "sentiment"}},
    "an unknown model": request(model="nobody/nothing"),
    "a NUL": request(prompt="a\x00b"),
    "an option that is ours": request(provider_options={"n": 5}),
}


@pytest.mark.parametrize(("value", "code"), LETTERS.values(), ids=LETTERS)
async def test_what_cannot_be_attributed_becomes_a_dead_letter_with_the_reason(value: bytes, code: str) -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(value), line.publish(request("good"))])
    (letter,) = line.out("prompt.dead-letters")
    DeadLetter.model_validate(letter)
    assert letter["code"] == code
    assert letter["reason"]
    assert len(line.calls()) == 1


@pytest.mark.parametrize("body", REJECTED.values(), ids=REJECTED)
async def test_what_can_be_attributed_is_rejected_with_the_reason(body: dict[str, Any]) -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(body), line.publish(request("good"))])
    (result,) = line.out("prompt.results")
    assert (result["status"], result["id"]) == ("rejected", "r1")
    assert result["error"]["code"] in ("invalid_request", "unknown_template", "unknown_model")
    assert result["error"]["message"]
    assert len(result["error"]["errors"]) <= 20
    assert len(line.calls()) == 1
    assert line.model.calls == []


async def test_a_pattern_that_would_explode_is_bounded() -> None:
    line = MemoryLine()
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}, "required": ["a"]}
    from connectors.memory.model import says

    line = MemoryLine([says({"a": "a" * 5_000 + "!"})] * 3)
    result = await line.answer(request(output_schema=schema))
    assert result is not None
    assert result["error"]["code"] in ("invalid_output", "invalid_request")


async def test_five_megabytes_are_refused_and_only_their_first_part_is_kept() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(b'{"prompt": "' + b"x" * 5_000_000 + b'"}')])
    (letter,) = line.out("prompt.dead-letters")
    assert (letter["code"], letter["size"]) == ("too_large", 5_000_014)
    assert len(letter["value"]) < 100_000


async def test_a_tombstone_is_ignored_and_counted() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(None)])
    assert line.broker.log == {}
    assert line.metrics.value("tombstones") == 1


async def test_L4_a_record_older_than_the_horizon_is_a_dead_letter() -> None:
    line = MemoryLine()
    delivery = line.publish(request())
    line.pass_time(days=11)
    await line.intake().handle_batch([delivery])
    assert line.out("prompt.dead-letters")[0]["code"] == "too_old"


async def test_an_invalid_request_keeps_its_id_and_a_repeat_gets_the_same_bytes() -> None:
    line = MemoryLine()
    intake = line.intake()
    await intake.handle_batch([line.publish(request(temprature=1))])
    await intake.handle_batch([line.publish(request(temprature=1))])
    first, second = line.broker.values("prompt.results")
    assert first == second


@pytest.mark.parametrize("body", [request(temprature=1), request(model="nobody/nothing")], ids=["unread", "refused"])
async def test_headers_key_and_trace_come_back_on_a_rejected_result_too(body: dict[str, Any]) -> None:
    line = MemoryLine()
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await line.intake().handle_batch([line.publish(body, b"k", [("x-source", b"crm"), ("traceparent", trace)])])
    (record,) = line.broker.log["prompt.results"]
    headers = dict(record.headers)
    assert (record.key, headers["x-source"], headers["traceparent"]) == (b"k", b"crm", trace)


async def test_headers_that_are_too_large_to_pass_on_are_refused() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request(), headers=[("x", b"y" * 70_000)])])
    (result,) = line.out("prompt.results")
    assert (result["status"], result["error"]["code"]) == ("rejected", "invalid_request")


async def test_a_dead_letter_of_a_named_tenant_is_an_event_too() -> None:
    line = MemoryLine()
    await line.intake().handle_batch([line.publish(request(tenant="nobody"))])
    (event,) = line.out("prompt.events")
    LifecycleEvent.model_validate(event)
    assert (event["type"], event["tenant"], event["data"]["code"]) == ("error.occurred", "nobody", "unknown_tenant")


async def test_a_null_is_an_absent_field_when_bodies_are_compared() -> None:
    line = MemoryLine()
    await line.answer(request())
    await line.answer(request(template=None, deadline=None))
    assert len(line.out("prompt.results")) == 1
