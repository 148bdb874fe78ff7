"""From somebody's topic to requests, and from results to somebody's topic, over the in-memory line."""

import asyncio
import json
from typing import Any

import pytest

from agents.deliver.condition import Condition
from agents.deliver.feeding import OutputSink, RequestSink
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.line import Delivery
from connectors.memory.broker import MemoryBroker, MemoryProducer, MemorySource
from domain.errors import BatchRefused, Permanent, Unavailable
from domain.ports import Record, Sink
from domain.sources.decoding import JsonDecoder
from domain.sources.model import HEADER, Source, load
from tests.line.memory_line import LABEL, MemoryLine
from topics.table import DEAD_LETTERS, REQUESTS, RESULTS

FILE = f"""
sources:
  tickets:
    topic: crm.tickets
    output: crm.answers
    request: {{tenant: acme, lane: bulk, output_schema: {json.dumps(LABEL)}}}
    map: {{id: number, prompt: body.text}}
"""
OUTPUTS = {"tickets": "crm.answers"}


def tickets(text: str = FILE) -> Source:
    return load(text, {})["tickets"]


class Feeding:
    """The runners of a source and of the outputs, over the broker of a line."""

    def __init__(self, source: Source | None = None) -> None:
        self.line = MemoryLine()
        self.source = source or tickets()
        self.read = 0

    def publish(self, *events: Any, key: bytes | None = b"k", headers: tuple[tuple[str, bytes], ...] = ()) -> None:
        for event in events:
            value = event if isinstance(event, bytes) else json.dumps(event).encode()
            self.line.broker.append(Record("crm.tickets", value, key, headers))

    async def carry(self, sink: Sink, group: str, broker: MemoryBroker | None = None) -> None:
        """Until everything is committed."""
        line, condition = self.line, Condition(group, self.line.clock)
        reading = MemorySource(line.broker, sink.topics, group, rows=50)
        policy = Policy(group, first_wait_s=0.0)
        work = deliver(reading, sink, MemoryProducer(line.broker), policy, line.metrics, condition)
        running = asyncio.ensure_future(work)
        async with asyncio.timeout(5):
            while self.uncommitted(sink.topics, group) and not running.done():
                await asyncio.sleep(0)
        condition.stop()
        await running

    def uncommitted(self, topics: tuple[str, ...], group: str) -> int:
        broker = self.line.broker
        places = [(topic, number) for topic in topics for number in range(broker.partitions)]
        return sum(broker.end(*place) - broker.committed(group, *place) for place in places)

    async def feed(self, group: str = "in") -> None:
        await self.carry(RequestSink(self.source, MemoryProducer(self.line.broker), JsonDecoder()), group)

    async def answer(self) -> None:
        """What is new on prompt.requests goes through intake and infer."""
        line = self.line
        new, self.read = line.broker.log[REQUESTS][self.read :], len(line.broker.log[REQUESTS])
        batch = [
            Delivery((REQUESTS, 0), REQUESTS, 0, number, 1, one.key, one.value, one.headers, line.now.timestamp())
            for number, one in enumerate(new, self.read - len(new))
        ]
        await line.intake().handle_batch(batch)
        infer = await line.infer()
        for delivery in line.calls("bulk"):
            await infer.handle(delivery)


async def test_an_event_is_answered_where_its_team_reads() -> None:
    feeding = Feeding()
    feeding.publish({"number": 4711, "body": {"text": "Is it good?"}}, headers=(("x-origin", b"\xff"), ("ce_id", b"1")))
    await feeding.feed()
    await feeding.answer()
    await feeding.carry(OutputSink(OUTPUTS, MemoryProducer(feeding.line.broker)), "out")
    (answer,) = feeding.line.broker.log["crm.answers"]
    (result,) = feeding.line.broker.log[RESULTS]
    assert answer.value == result.value
    assert json.loads(answer.value or b"")["output"] == {"label": "good"}
    assert json.loads(answer.value or b"")["id"] == "4711"
    assert answer.key == b"k"
    assert dict(answer.headers)["x-origin"] == b"\xff"
    assert dict(answer.headers)["ce_id"] == b"acme/4711/1"
    assert dict(answer.headers)[HEADER] == b"tickets"


async def test_L2_an_event_that_comes_again_is_answered_once() -> None:
    feeding = Feeding()
    feeding.publish({"number": 1, "body": {"text": "?"}}, {"number": 1, "body": {"text": "?"}, "seen": "again"})
    await feeding.feed("first")
    await feeding.feed("a process that died before it committed")
    await feeding.answer()
    assert len(feeding.line.broker.log[REQUESTS]) == 4
    assert len(feeding.line.model.calls) == 1
    assert len(feeding.line.out(RESULTS)) == 1


async def test_what_cannot_be_mapped_is_a_dead_letter_and_its_neighbours_go_on() -> None:
    feeding = Feeding()
    bad = (
        b"not json",
        b"[1]",
        {"number": "a b", "body": {"text": "?"}},
        {"number": 9, "body": {"text": "x" * (1 << 20)}},
    )
    for number, event in enumerate(bad):
        feeding.publish({"number": number, "body": {"text": "?"}}, event)
    feeding.publish({"number": 5, "body": {"text": "?"}}, headers=(("h", b"x" * 70_000),))
    await feeding.feed()
    await feeding.answer()
    letters = feeding.line.out(DEAD_LETTERS)
    assert [(one["topic"], one["stage"], one["code"]) for one in letters] == [
        ("crm.tickets", "deliver.in", "refused_by_sink")
    ] * 5
    reasons = " ".join(sorted(one["reason"].removeprefix("source tickets: ") for one in letters))
    for reason in (
        "the record is not JSON",
        "/id: is not 1 to 255",
        "/id: the expression finds nothing",
        "it may have 1048576",
        "headers of more than",
    ):
        assert reason in reasons
    assert len(feeding.line.out(RESULTS)) == 4


async def test_what_only_intake_can_judge_is_a_rejected_result_at_the_output() -> None:
    feeding = Feeding()
    feeding.publish({"number": 1, "body": {"text": None}})
    await feeding.feed()
    await feeding.answer()
    await feeding.carry(OutputSink(OUTPUTS, MemoryProducer(feeding.line.broker)), "out")
    (answer,) = [json.loads(value) for value in feeding.line.broker.values("crm.answers")]
    assert (answer["status"], answer["error"]["code"]) == ("rejected", "invalid_request")


async def test_an_event_without_an_id_has_its_place_as_id() -> None:
    feeding = Feeding(tickets(FILE.replace("id: number, ", "")))
    feeding.publish({"body": {"text": "?"}}, {"body": {"text": "?"}})
    await feeding.feed()
    ids = [json.loads(value)["id"] for value in feeding.line.broker.values(REQUESTS)]
    assert ids == ["crm.tickets:1:0", "crm.tickets:1:1"]


async def test_records_from_before_a_time_are_left_alone() -> None:
    feeding = Feeding(tickets(FILE.replace("topic:", "since: 2026-01-01T01:00:00Z\n    topic:")))
    feeding.publish({"number": 1, "body": {"text": "?"}})
    feeding.line.pass_time(hours=1)
    feeding.publish({"number": 2, "body": {"text": "?"}})
    await feeding.feed()
    assert [json.loads(value)["id"] for value in feeding.line.broker.values(REQUESTS)] == ["2"]


async def test_results_of_others_are_not_copied() -> None:
    feeding = Feeding()
    for source in (b"another", b"", None):
        headers = () if source is None else ((HEADER, source),)
        feeding.line.broker.append(Record(RESULTS, b"{}", b"k", headers))
    await feeding.carry(OutputSink(OUTPUTS, MemoryProducer(feeding.line.broker)), "out")
    assert feeding.line.broker.log["crm.answers"] == []


async def test_a_source_cannot_pass_itself_off_as_another_or_as_the_api() -> None:
    feeding = Feeding()
    forged = ((HEADER, b"other"), ("sp-api-key", b"key"), ("sp-reply-to", b"x"), ("sp-run", b"7"))
    feeding.publish({"number": 1, "body": {"text": "?"}}, headers=forged)
    await feeding.feed()
    headers = feeding.line.broker.log[REQUESTS][0].headers
    assert [value for name, value in headers if name == HEADER] == [b"tickets"]
    assert not [name for name, _ in headers if name.startswith("sp-")]


class Lacking(MemoryProducer):
    """A broker that lacks one topic; what is for others arrives all the same."""

    missing: str | None = "nowhere"

    async def send(self, records: Any) -> None:
        await super().send([record for record in records if record.topic != self.missing])
        if any(record.topic == self.missing for record in records):
            raise Unavailable("Kafka cannot produce to nowhere")

    async def objection(self, topic: str) -> str | None:
        return f"the topic {topic} does not exist; create it" if topic == self.missing else None


async def test_while_an_output_is_missing_results_of_others_are_not_copied_again_and_again() -> None:
    broker = MemoryBroker()
    producer = Lacking(broker)
    sink = OutputSink({"tickets": "crm.answers", "forms": "nowhere"}, producer, None, producer.objection)
    for source in (b"tickets", b"forms"):
        broker.append(Record(RESULTS, b"{}", b"k", ((HEADER, source),)))
    batch = [one for partition in range(broker.partitions) for one in broker.read(RESULTS, partition, 0)]
    with pytest.raises(Unavailable):
        await sink.write(batch)
    for _ in range(3):
        with pytest.raises(Unavailable, match="nowhere does not exist; create it, or give the source another"):
            await sink.write(batch)
    assert broker.values("crm.answers") == [b"{}"]
    producer.missing = None
    assert await sink.write(batch) == []
    assert broker.values("nowhere") == [b"{}"]
    assert broker.values("crm.answers") == [b"{}"] * 2


class Refusing(MemoryProducer):
    """A broker that is away at first, and never takes one of the records."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.away = 2

    async def send(self, records: Any) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("no broker answers")
        if any(json.loads(record.value)["id"] == "3" for record in records):
            raise Permanent("it is larger than the topic takes")
        await super().send(records)


async def test_a_broker_that_is_away_is_waited_for_and_a_record_it_never_takes_is_a_dead_letter() -> None:
    feeding = Feeding()
    feeding.publish(*[{"number": number, "body": {"text": "?"}} for number in range(6)])
    await feeding.carry(RequestSink(feeding.source, Refusing(feeding.line.broker), JsonDecoder()), "in")
    ids = sorted({json.loads(value)["id"] for value in feeding.line.broker.values(REQUESTS)})
    assert ids == ["0", "1", "2", "4", "5"]
    (letter,) = feeding.line.out(DEAD_LETTERS)
    assert "larger than the topic takes" in letter["reason"]


async def test_the_sink_says_that_one_of_them_is_refused() -> None:
    feeding, sink = Feeding(), None
    producer = Refusing(feeding.line.broker)
    producer.away, sink = 0, RequestSink(feeding.source, producer, JsonDecoder())
    feeding.publish({"number": 3, "body": {"text": "?"}})
    with pytest.raises(BatchRefused):
        await sink.write(feeding.line.broker.read("crm.tickets", 1, 0))
