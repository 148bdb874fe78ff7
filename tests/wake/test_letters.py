"""Dead letters in wake's hands: into the store, out again, and those that nobody produced."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from agents.deliver.letters import LetterSink
from agents.wake.republish import Republisher
from agents.wake.waiting import watch_waiting
from connectors.memory.broker import MemoryBroker, MemoryProducer
from connectors.memory.letters import MemoryLetters
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.model import says
from connectors.memory.queues import MemoryQueues
from connectors.memory.store import MemoryStore, Wait
from domain.errors import Permanent, Unavailable
from domain.letters.model import Letter, Republish, Wanted
from domain.ports import Item
from tests.line.memory_line import MemoryLine, request
from topics.table import DEAD_LETTERS, REQUESTS

AT = datetime(2026, 1, 1, tzinfo=UTC)


class World:
    """A store of letters, and what wake does around it."""

    def __init__(self) -> None:
        self.broker, self.store, self.metrics = MemoryBroker(), MemoryStore(), MemoryMetrics()
        self.letters = MemoryLetters(self.store, lambda: AT)
        self.producer = MemoryProducer(self.broker)
        self.publisher = Republisher(self.letters, self.producer, self.metrics)

    async def keep(self, *values: bytes, prefix: str = "") -> list[Letter]:
        items = [Item(DEAD_LETTERS, 0, offset, AT, None, value) for offset, value in enumerate(values)]
        assert await LetterSink(self.letters, prefix).write(items) == []
        return await self.letters.page(Wanted(None), 99, None)


def body(**more: Any) -> bytes:
    fields = {
        "topic": REQUESTS, "partition": 1, "offset": 7, "value": base64.b64encode(b"record").decode(), "size": 6,
        "key": base64.b64encode(b"k").decode(), "headers": [["x-mine", base64.b64encode(b"1").decode()]],
        "stage": "intake", "code": "unknown_tenant", "reason": "no tenant", "tenant": "acme", "id": "a", "run": None,
        "first_seen": "2026-01-01T00:00:00.000Z", "last_seen": "2026-01-01T00:00:00.000Z", **more,
    }  # fmt: skip
    return orjson.dumps(fields)


@pytest.mark.parametrize(
    "value",
    [
        b"nonsense", b"[]", b"{}", b"null", b'{"tenant": 7, "id": [], "run": "x", "first_seen": 5, "size": -1}',
        b"""{"reason": "a \\u0000 b", "tenant": "\\u0000"}""",
        b"""{"run": 99999999999999, "last_seen": "9999-12-31T23:59:59Z"}""",
    ],
)  # fmt: skip
async def test_whatever_is_on_the_topic_is_kept_and_nothing_is_refused(value: bytes) -> None:
    [found] = await World().keep(value)
    assert found.code == "unreadable"
    assert "\0" not in found.reason + (found.tenant or "")


async def test_a_letter_produced_twice_is_one_and_topics_come_without_the_prefix() -> None:
    value = body(topic="t1." + REQUESTS)
    [found] = await World().keep(value, value, prefix="t1.")
    assert (found.topic, found.tenant, found.of_a_run) == (REQUESTS, "acme", False)


async def test_a_run_ends_with_one_letter_whoever_produced_it() -> None:
    again = body(topic="prompt.calls.bulk", stage="infer", run=1, partition=-1, offset=-1)
    [found] = await World().keep(body(topic="prompt.calls.bulk", stage="infer", run=1), again)
    assert found.of_a_run


async def test_a_redriven_record_is_published_as_it_came_once() -> None:
    world = World()
    [letter] = await world.keep(body())
    await world.letters.republish([Republish(letter.letter, "acme", AT)])
    world.producer.failures.append(Unavailable("the broker is away"))
    with pytest.raises(Unavailable):
        await world.publisher.publish_due()
    assert world.broker.values(REQUESTS) == []
    world.store.letters["acme", letter.letter].publish_at = AT  # 30 s later
    assert [await world.publisher.publish_due() for _ in range(2)] == [1, 0]
    [record] = world.broker.log[REQUESTS]
    assert (record.value, record.key, list(record.headers)) == (b"record", b"k", [("x-mine", b"1")])


async def test_a_record_the_broker_never_takes_does_not_keep_the_others_waiting() -> None:
    world = World()
    letters = await world.keep(body(), body(offset=8))
    await world.letters.republish([Republish(one.letter, "acme", AT) for one in letters])
    world.producer.failures.append(Permanent("too large"))
    assert await world.publisher.publish_due() == 2
    assert world.broker.values(REQUESTS) == [b"record"]
    assert await world.publisher.publish_due() == 0


async def test_L15_the_dead_letter_of_a_worker_that_died_before_it_produced_is_produced_by_the_sweep() -> None:
    line = MemoryLine([says({"label": "neither"})])
    await line.answer(request(), await line.infer(re_asks=0))
    [letter] = line.out(DEAD_LETTERS)
    line.broker.log.clear()
    row = line.store.requests["acme", "r1"]
    row.emitted_at = None
    line.pass_time(seconds=60)
    await line.wake().sweep()
    [again] = line.out(DEAD_LETTERS)
    same = ("code", "reason", "errors", "tenant", "id", "run", "attempts", "topic", "stage")
    assert [again[name] for name in same] == [letter[name] for name in same]
    assert (again["partition"], again["offset"]) == (-1, -1)
    call = orjson.loads(base64.b64decode(again["value"]))
    assert call["messages"] == [{"role": "user", "content": "Is it good?"}]


async def test_a_reason_that_nobody_waits_for_any_more_goes_to_zero() -> None:
    store, metrics = MemoryStore(), MemoryMetrics()
    store.waiting["acme", "a"] = Wait(1, 1, AT + timedelta(hours=1), "retry", "bulk")
    watching = asyncio.ensure_future(watch_waiting(MemoryQueues(store), metrics, 0.001))
    await asyncio.sleep(0.02)
    assert metrics.value("waiting", reason="retry") == 1
    store.waiting.clear()
    await asyncio.sleep(0.02)
    watching.cancel()
    assert metrics.value("waiting", reason="retry") == 0
