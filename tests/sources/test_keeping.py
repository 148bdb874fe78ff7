"""What is wanted runs, as it changes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from agents.deliver.condition import Condition
from agents.deliver.keeping import Keeper
from agents.deliver.shelf import OUTPUTS, Entry, Shelf
from connectors.memory.sink_board import MemorySinkBoard
from connectors.memory.sources import MemorySourceFile, MemorySources
from domain.errors import Permanent, Unavailable
from domain.sources.model import Source, load
from domain.sources.stored import Stored, kept, parted

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FILE = load("sources: {tickets: {topic: crm.tickets, request: {tenant: acme}, map: {prompt: text}}}", {})
SECRET = "whsec_" + "c2Vj" * 8


class Away(MemorySources):
    """A store that can be away."""

    away = False

    async def all(self) -> Sequence[Stored]:
        if self.away:
            raise Unavailable("PostgreSQL does not answer")
        return await super().all()


class World:
    """A keeper of what a shelf wants; `log` is what began and ended, by source."""

    def __init__(self) -> None:
        self.store, self.board, self.condition = Away(), MemorySinkBoard(lambda: NOW), Condition("sources")
        self.file = MemorySourceFile(FILE)
        self.shelf = Shelf(self.file, self.store, lambda: b"p" * 32, self.carry, self.condition)
        self.keeper = Keeper("w1", self.board, again_s=0.05)
        self.log: list[str] = []
        self.broken: dict[str, Exception] = {}

    async def carry(self, entry: Entry, condition: Condition) -> None:
        source = entry()
        said = f"{source.name} of {source.topic}" if source else OUTPUTS
        self.log.append(f"+{said}")
        if source and source.name in self.broken:
            raise self.broken[source.name]
        stopped = asyncio.Event()
        condition.when_stopping(stopped.set)
        await stopped.wait()
        self.log.append(f"-{said}")

    async def put(self, name: str, topic: str, output: str | None = None) -> None:
        fields = {"topic": topic, "output": output, "request": {"tenant": "acme"}, "map": {"prompt": "text"}}
        await self.store.put(kept(name, *parted(fields), b"p" * 32, NOW))

    async def until(self, *log: str) -> None:
        async with asyncio.timeout(10):
            while self.log != list(log):
                await asyncio.sleep(0.001)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    keeping = asyncio.ensure_future(world.keeper.keep(world.shelf.turn, every_s=0.001))
    yield world
    world.keeper.stop()
    await asyncio.gather(keeping, return_exceptions=True)


async def test_a_source_that_is_put_starts_one_that_changes_is_started_again_one_that_is_gone_stops(
    world: World,
) -> None:
    await world.until("+tickets of crm.tickets")
    await world.put("forms", "a")
    await world.until("+tickets of crm.tickets", "+forms of a")
    await world.put("forms", "b")
    await world.until("+tickets of crm.tickets", "+forms of a", "-forms of a", "+forms of b")
    await world.store.delete("forms")
    await world.until("+tickets of crm.tickets", "+forms of a", "-forms of a", "+forms of b", "-forms of b")
    with suppress(TimeoutError):
        async with asyncio.timeout(10):
            while "source-forms" in world.keeper.names:  # it forgets one a moment after its end
                await asyncio.sleep(0.001)
    assert world.keeper.names == ["source-tickets"]


async def test_the_file_wins(world: World) -> None:
    await world.put("tickets", "other")
    await world.put("last", "z")
    await world.until("+tickets of crm.tickets", "+last of z")


async def test_results_are_read_while_a_source_has_an_output(world: World) -> None:
    await world.put("forms", "a", "out")
    await world.until("+tickets of crm.tickets", "+forms of a", "+source-outputs")
    assert world.shelf.outputs == {"tickets": None, "forms": "out"}
    await world.store.delete("forms")
    async with asyncio.timeout(10):
        while len(world.log) < 5:
            await asyncio.sleep(0.001)
    assert set(world.log[3:]) == {"-forms of a", "-source-outputs"}
    assert world.shelf.outputs == {"tickets": None}


async def test_one_that_breaks_is_told_and_tried_again_and_harms_no_other(world: World) -> None:
    world.broken["forms"] = Permanent("it needs the extra 'avro'")
    await world.put("forms", "a")
    await world.until("+tickets of crm.tickets", "+forms of a")
    async with asyncio.timeout(10):
        while not await world.board.look():
            await asyncio.sleep(0.001)
    (view,) = await world.board.look()
    assert (view.name, view.members[0].report.detail) == ("source-forms", "it needs the extra 'avro'")
    world.broken.clear()
    await world.until("+tickets of crm.tickets", "+forms of a", "+forms of a")
    assert world.keeper.names == ["source-forms", "source-tickets"]


async def test_what_another_pepper_sealed_is_told_with_the_remedy(world: World) -> None:
    fields = {"topic": "a", "webhook": {"secret": SECRET}, "request": {"tenant": "acme"}, "map": {"prompt": "text"}}
    await world.store.put(kept("forms", *parted(fields), b"q" * 32, NOW))
    async with asyncio.timeout(10):
        while not await world.board.look():
            await asyncio.sleep(0.001)
    (view,) = await world.board.look()
    assert "STRUCTURED_PROMPT_KEY_PEPPER" in view.members[0].report.detail


async def test_two_that_would_feed_each_other_do_not_run(world: World) -> None:
    await world.put("one", "a", "b")
    await world.put("two", "b", "c")
    async with asyncio.timeout(10):
        while not await world.board.look():
            await asyncio.sleep(0.001)
    (view,) = await world.board.look()
    assert (view.name, "round for ever" in view.members[0].report.detail) == ("source-one", True)
    assert "+one of a" not in world.log


async def test_while_the_store_is_away_what_ran_goes_on(world: World) -> None:
    await world.put("forms", "a")
    await world.until("+tickets of crm.tickets", "+forms of a")
    world.store.away = True
    async with asyncio.timeout(10):
        while world.condition.trouble is None:
            await asyncio.sleep(0.001)
    assert world.log == ["+tickets of crm.tickets", "+forms of a"]
    assert not world.condition.health().ready
    world.store.away = False
    async with asyncio.timeout(10):
        while world.condition.trouble is not None:
            await asyncio.sleep(0.001)


async def test_a_fault_of_one_of_the_file_ends_all(world: World) -> None:
    world = World()
    world.broken["tickets"] = Permanent("the member's name is taken")
    await world.put("forms", "a")
    with pytest.raises(Permanent, match="is taken"):
        async with asyncio.timeout(10):
            await world.keeper.keep(world.shelf.turn, every_s=0.001)


async def test_at_the_stop_every_one_ends(world: World) -> None:
    await world.until("+tickets of crm.tickets")
    world.keeper.stop()
    await world.until("+tickets of crm.tickets", "-tickets of crm.tickets")


def of_file(**topics: str) -> dict[str, Source]:
    """A file with these sources."""
    rest = "request: {tenant: acme}, map: {prompt: text}"
    entries = ", ".join(f"{name}: {{topic: {topic}, {rest}}}" for name, topic in topics.items())
    return load(f"sources: {{{entries}}}", {})


async def test_a_file_that_changes_is_followed_and_what_stayed_goes_on() -> None:
    world = World()
    world.file.write(of_file(tickets="crm.tickets", forms="forms"))
    assert [one.name for one in await world.shelf.turn()] == ["source-tickets"]
    before = world.shelf.wanted()[0].mark
    after = {one.name: one for one in await world.shelf.turn()}
    assert set(after) == {"source-tickets", "source-forms"}
    assert after["source-tickets"].mark == before
    # a fault of what came later is told of, and ends no other
    assert (after["source-tickets"].vital, after["source-forms"].vital) == (True, False)
    world.file.write(of_file(tickets="crm.others"))
    await world.shelf.turn()
    (changed,) = await world.shelf.turn()
    assert (changed.mark == before, changed.vital) == (False, False)


async def test_a_file_that_became_wrong_is_told_and_the_old_one_holds() -> None:
    world = World()
    world.file.write("tickets: it needs a `topic`")
    await world.shelf.turn()
    assert [one.name for one in await world.shelf.turn()] == ["source-tickets"]
    health = world.condition.health()
    assert (health.ready, "it needs a `topic`" in (health.checks["sources"].detail or "")) == (False, True)
    world.file.write(of_file(tickets="crm.tickets"))
    await world.shelf.turn()
    await world.shelf.turn()
    assert world.condition.health().ready


async def test_one_over_http_takes_over_when_its_name_leaves_the_file() -> None:
    world = World()
    await world.put("tickets", "crm.http")
    assert [one.name for one in await world.shelf.turn()] == ["source-tickets"]
    world.file.write({})
    await world.shelf.turn()
    (taken,) = await world.shelf.turn()
    assert taken.mark[0].fields["topic"] == "crm.http"
