"""A source says that the topic of its results is not there, and works all the same."""

import asyncio

from agents.deliver.answering import EVERY_S, Answering
from connectors.memory.broker import MemoryBroker, MemorySource
from domain.errors import Unavailable
from domain.ports import Record

SAID = "the topic crm.answers does not exist; create it"


class Topics:
    """What the broker says of a topic; `asked` are the topics that were asked for."""

    def __init__(self) -> None:
        self.reason: str | None = SAID
        self.away = False
        self.asked: list[str] = []

    async def objection(self, topic: str) -> str | None:
        self.asked.append(topic)
        if self.away:
            raise Unavailable("no broker answers")
        return self.reason


class World:
    def __init__(self) -> None:
        self.broker, self.topics, self.at = MemoryBroker(), Topics(), 0.0
        self.reading = MemorySource(self.broker, ["crm.tickets"], "source-tickets")
        self.source = Answering(self.reading, "crm.answers", self.topics.objection, lambda: self.at)

    async def later(self) -> str | None:
        self.at += EVERY_S
        return await self.source.trouble()


async def test_an_output_that_is_not_there_is_told_with_its_remedy_until_it_is() -> None:
    world = World()
    told = await world.source.trouble()
    assert told is not None
    assert f"for its `output`: {SAID}, or give the source another" in told
    world.topics.reason = None
    assert await world.source.trouble() == told, "it is not asked at each look"
    assert await world.later() is None
    assert world.topics.asked == ["crm.answers", "crm.answers"]


async def test_what_keeps_it_from_reading_comes_first() -> None:
    world = World()
    world.reading.missing = "the topic crm.tickets does not exist; create it"
    assert await world.source.trouble() == world.reading.missing


async def test_while_the_broker_is_away_what_was_known_holds() -> None:
    world = World()
    told = await world.source.trouble()
    world.topics.away = True
    assert await world.later() == told


async def test_it_reads_all_the_same() -> None:
    world = World()
    assert await world.source.trouble() is not None
    world.broker.append(Record("crm.tickets", b"{}", b"k"))
    async with asyncio.timeout(10):
        batch = await anext(aiter(world.source.batches()))
    await world.source.commit(batch)
    assert sum((await world.source.lag()).values()) == 0
    assert await world.source.rewind({("crm.tickets", batch[0].partition): 0}) == {("crm.tickets", batch[0].partition)}
    world.source.stop()
    await world.source.close()
