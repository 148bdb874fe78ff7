"""Everything that leaves, by kind: no prompt in any of it, no answer without consent, nothing that is withheld.

A new sink or a new kind of destination is in these tests without a word: they go through the lists that name them.
"""

import gzip
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import orjson
import pytest

from agents.notify.queueing import QueueSink
from agents.notify.sender import Sender, SenderPorts
from connectors import sinks
from connectors.memory.webhooks import MemoryDeliveries, MemoryEndpoints, MemoryOutlet
from connectors.sinks import SINKS
from connectors.withholding import Withholding
from domain.errors import InvalidSettings
from domain.exports.model import FIELDS as EXPORTED
from domain.ports import Item, Refused
from domain.safety.withholding import FIELDS, Withheld, withheld
from domain.settings import load
from domain.webhooks.kinds import Bucket, Kind
from domain.webhooks.model import Endpoint
from domain.webhooks.sealing import seal
from tests.contract.messages import event, item, result
from tests.line.memory_line import LABEL, MemoryLine, says
from topics.table import DEAD_LETTERS, EVENTS, RESULTS, USAGE

LEAVING = (RESULTS, USAGE, EVENTS)
ASKED, ANSWERED, MAIL = "MARKER-of-a-prompt", "MARKER-of-an-answer", "jane.doe@example.com"
PEPPER = b"p" * 32
SETTINGS = {
    "KAFKA_BOOTSTRAP_SERVERS": "localhost:9092", "DATABASE_URL": "postgresql://a:b@localhost/c",
    "REDIS_URL": "redis://localhost", "CLICKHOUSE_URL": "http://localhost:8123/c",
    "STRUCTURED_PROMPT_KEY_PEPPER": "p" * 32,
}  # fmt: skip


async def said() -> list[Item]:
    """What the line produces of requests that end in every way, with a marker wherever somebody asks something."""
    line = MemoryLine([says({"label": ANSWERED})] * 3)
    asked: list[dict[str, Any]] = [
        {"prompt": ASKED, "output_schema": LABEL},
        {"prompt": ASKED},
        {"messages": [{"role": "system", "content": ASKED}, {"role": "user", "content": ASKED}]},
        {"template": {"name": "sentiment", "variables": {"text": ASKED}}},
        {"template": {"name": "sentiment", "variables": {"txt": ASKED}}},
        {"prompt": ASKED, "callback_url": "http://10.0.0.1/"},
        {"prompt": ASKED, "model": "no/such"},
        {"prompt": ASKED, "deadline": "2020-01-01T00:00:00.000Z"},
        {"prompt": {"wrong": ASKED}},
    ]
    for number, more in enumerate(asked):
        await line.answer({"id": f"r{number}", "tenant": "acme", **more})
    assert len(line.out(RESULTS)) == len(asked)
    assert line.out(DEAD_LETTERS)
    return [
        Item(topic, 0, offset, line.now, one.key, one.value or b"", one.headers)
        for topic in LEAVING for offset, one in enumerate(line.broker.log[topic])
    ]  # fmt: skip


class Open:
    """A destination that keeps what it is given."""

    topics: Sequence[str] = LEAVING

    def __init__(self) -> None:
        self.got: list[Item] = []

    async def open(self) -> None:
        return

    async def write(self, batch: Sequence[Item]) -> list[Refused]:
        self.got += batch
        return []

    async def close(self) -> None:
        return


async def test_no_prompt_is_in_anything_that_the_line_produces_for_others() -> None:
    records = await said()
    assert {one.topic for one in records} == set(LEAVING)
    for one in records:
        assert ASKED.encode() not in one.value + (one.key or b"") + b"".join(value for _, value in one.headers), one


@pytest.mark.parametrize("name", sorted(SINKS))
async def test_no_answer_leaves_by_a_sink_without_consent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ClickHouse takes answers out by itself: tests/contract/test_sinks.py."""
    outside, kind = Open(), SINKS[name]
    monkeypatch.setitem(SINKS, name, replace(kind, make=lambda _: outside))
    settings = load({**SETTINGS, "STRUCTURED_PROMPT_SINK_ANSWERS": "none"}, str)
    parts = sinks.sink_parts(settings, name)
    records = [*await said(), result(output=ANSWERED)]
    assert any(ANSWERED.encode() in one.value for one in records)
    await parts.sink.write(records)
    assert len(outside.got) == len(records)
    if kind.consented:
        assert not any(ANSWERED.encode() in one.value for one in outside.got)
    else:
        assert name == "clickhouse"


@pytest.mark.parametrize("name", sorted(SINKS))
async def test_what_an_operator_holds_back_leaves_by_no_sink(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    outside = Open()
    monkeypatch.setitem(SINKS, name, replace(SINKS[name], make=lambda _: outside, consented=False))
    given = {"SINK_WITHHOLD": "subject, metadata", "SINK_REDACT": f"{name}:email", "SINK_ANSWERS": "all"}
    settings = load({**SETTINGS, **{f"STRUCTURED_PROMPT_{key}": text for key, text in given.items()}}, str)
    parts = sinks.sink_parts(settings, name)
    whole = result(output={"to": MAIL}, subject="user-77", metadata={"ticket": "4711"}, tags={"who": MAIL})
    told = event(data={"reason": f"of {MAIL}"})
    await parts.sink.write([whole, told, item(RESULTS, MAIL.encode())])
    first, second, third = outside.got
    assert orjson.loads(first.value)["output"] == {"to": "[email]"}
    assert orjson.loads(first.value)["metadata"] == {}
    assert orjson.loads(second.value)["data"] == {"reason": "of [email]"}
    assert third.value == b"null"
    for word in (MAIL, "user-77", "4711"):
        assert word.encode() not in first.value + second.value


@pytest.mark.parametrize("kind", get_args(Kind))
async def test_no_prompt_and_nothing_that_is_withheld_leaves_by_a_destination_of_a_tenant(kind: Kind) -> None:
    line, outlet, endpoints = MemoryLine(), MemoryOutlet(), MemoryEndpoints()
    bucket = Bucket("b", "eu", "k") if kind == "s3" else None
    await endpoints.add(Endpoint(
        "acme", "d1", "https://a.example", (), b"s", line.now, ("output", "error"), kind=kind, bucket=bucket,
        sealed=seal(PEPPER, "acme", "d1", "x"), redact=("email",),
    ))  # fmt: skip
    deliveries = MemoryDeliveries(endpoints)
    sender = Sender(SenderPorts(endpoints, deliveries, outlet, line.metrics, PEPPER, line.clock, line.seconds), 64)
    records = [*await said(), result(output={"to": MAIL}, metadata={"ticket": "4711"}), event(data={"of": MAIL})]
    leaving = [one for one in records if one.topic != USAGE]
    assert await QueueSink(endpoints, deliveries, line.clock, sender.nudge).write(leaving) == []
    line.pass_time(minutes=2)
    while await sender.turn():
        await sender.drained()
    bodies = [one.body for one in outlet.posted] + [gzip.decompress(one.body) for one in outlet.stored]
    sent = b"".join(bodies)
    assert b"[email]" in sent
    for word in (ASKED, MAIL, "4711"):
        assert word.encode() not in sent


def test_exports_have_no_column_that_holds_a_prompt() -> None:
    assert not {"prompt", "messages", "variables", "input"} & set(EXPORTED)


async def test_a_dead_letter_of_a_sink_has_the_record_whole() -> None:
    class Refusing(Open):
        async def write(self, batch: Sequence[Item]) -> list[Refused]:
            return [Refused(one, "no") for one in batch]

    whole = result(subject="user-77")
    [refused] = await Withholding(Refusing(), Withheld(frozenset({"subject"}))).write([whole])
    assert refused.item == whole


def test_what_is_withheld_is_of_all_sinks_or_of_one() -> None:
    assert withheld("s3", "subject, kafka:tags", "s3:email") == Withheld(frozenset({"subject"}), ("email",))
    assert withheld("kafka", "subject, kafka:tags", "s3:email") == Withheld(frozenset({"subject", "tags"}))
    assert not withheld("s3", "", "kafka:email")
    for fields, kinds in [("status", ""), ("", "name"), ("s3:", "")]:
        with pytest.raises(InvalidSettings, match="none of"):
            withheld("s3", fields, kinds)
    assert set(FIELDS) >= {"output", "subject", "metadata", "tags"}
