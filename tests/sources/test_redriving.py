"""Dead letters of sources: mapped again by the mapping as it is now, they become requests as they would have."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from agents.deliver.feeding import OutputSink
from agents.deliver.letters import LetterSink
from agents.wake.republish import Republisher
from connectors.memory.broker import MemoryOriginals, MemoryProducer
from connectors.memory.letters import MemoryLetters
from connectors.memory.sources import MemorySources
from domain.errors import InvalidSettings, MissingExtra
from domain.feeding.letters import stage_of
from domain.letters.model import Wanted
from domain.letters.redrive import Edit
from domain.ports import Decoder, Item
from domain.redriving.redriver import Order, Redriver, Report
from domain.redriving.remapping import Remapping, finder
from domain.sources.decoding import JsonDecoder
from domain.sources.model import HEADER, Source, load
from tests.sources.test_feeding import FILE, OUTPUTS, Feeding, tickets
from topics.table import DEAD_LETTERS, REQUESTS, RESULTS

MENDED = FILE.replace("id: number", "id: number || nr")
EVENT = {"nr": 7, "body": {"text": "Is it good?"}}


class World(Feeding):
    """The line, with the store of dead letters and what redrives them; `file` is what the file of sources says now."""

    def __init__(self, text: str = FILE) -> None:
        super().__init__(tickets(text))
        self.store = MemorySources()
        self.file: Mapping[str, Source] = load(MENDED, {})
        self.letters = MemoryLetters(self.line.store, self.line.clock)
        self.wanted = Wanted(None, stage=stage_of("tickets"))

    async def bury(self, *events: Any, **named: Any) -> None:
        """Read by the source, refused, and kept as wake keeps it."""
        self.publish(*events, **named)
        await self.feed("source-tickets")
        records = self.line.broker.log[DEAD_LETTERS]
        items = [Item(DEAD_LETTERS, 0, at, self.line.now, one.key, one.value or b"") for at, one in enumerate(records)]
        assert await LetterSink(self.letters).write(items) == []

    async def redrive(self, decoder: Any = None, **named: Any) -> Report:
        line = self.line
        remapping = Remapping(finder(lambda: self.file, self.store, lambda: b"p" * 32), decoder or _json)
        redriver = Redriver(self.letters, MemoryOriginals(line.broker), line.preparer, remapping, line.clock)
        return await redriver.redrive(Order(self.wanted, **named))

    async def publish_due(self) -> None:
        await Republisher(self.letters, MemoryProducer(self.line.broker), self.line.metrics).publish_due()


def _json(_: Source) -> Decoder:
    return JsonDecoder()


def reasons(report: Report) -> list[str]:
    assert report.redriven == 0
    return [why for _, why in report.skipped]


async def test_a_letter_of_a_source_is_mapped_again_and_answered_where_its_team_reads() -> None:
    world = World()
    await world.bury(EVENT, headers=(("x-origin", b"\xff"), (HEADER, b"another")))
    report = await world.redrive()
    assert (report.matched, report.redriven, report.estimate.requests) == (1, 1, 1)
    await world.publish_due()
    await world.answer()
    await world.carry(OutputSink(OUTPUTS, MemoryProducer(world.line.broker)), "out")
    (answer,) = world.line.broker.log["crm.answers"]
    said = json.loads(answer.value or b"")
    assert (said["id"], said["status"], said["output"]) == ("7", "completed", {"label": "good"})
    assert (answer.key, dict(answer.headers)["x-origin"], dict(answer.headers)[HEADER]) == (b"k", b"\xff", b"tickets")


async def test_L2_the_request_is_the_one_that_a_replay_makes_and_is_answered_once() -> None:
    world = World()
    await world.bury(EVENT)
    await world.redrive()
    await world.publish_due()
    world.source = tickets(MENDED)
    await world.feed("a replay")
    redriven, replayed = world.line.broker.log[REQUESTS]
    assert (redriven.value, redriven.key, redriven.headers) == (replayed.value, replayed.key, replayed.headers)
    await world.answer()
    assert (len(world.line.model.calls), len(world.line.out(RESULTS))) == (1, 1)
    assert reasons(await world.redrive()) == ["it was redriven before"]


async def test_without_a_mapped_id_the_place_of_the_record_names_it() -> None:
    world = World()
    world.source = tickets(FILE.replace("id: number, ", "tenant: t, ").replace("tenant: acme, ", ""))
    world.file = load(FILE.replace("id: number, ", ""), {})
    await world.bury({"body": {"text": "?"}})
    await world.redrive()
    await world.publish_due()
    (request,) = world.line.out(REQUESTS)
    assert (request["id"], request["tenant"]) == ("crm.tickets:1:0", "acme")


async def test_a_dry_run_counts_and_prices_and_publishes_nothing() -> None:
    world = World()
    await world.bury(EVENT)
    report = await world.redrive(dry_run=True)
    assert (report.redriven, report.estimate.requests) == (1, 1)
    await world.publish_due()
    assert world.line.out(REQUESTS) == []


async def test_an_edit_changes_the_mapped_request() -> None:
    world = World()
    await world.bury(EVENT)
    await world.redrive(edit=Edit(model="smart"))
    await world.publish_due()
    (request,) = world.line.out(REQUESTS)
    assert (request["model"], request["id"]) == ("smart", "7")


async def test_what_still_does_not_fit_says_so_and_stays() -> None:
    world = World()
    await world.bury({"body": {"text": "secret"}}, b"not json")
    said = sorted(reasons(await world.redrive()))
    why = "the mapping of the source 'tickets' as it is now does not fit it: "
    assert said == [why + "/id: the expression finds nothing in the event", why + "the record is not JSON"]
    assert [one.redriven_at for one in await world.letters.page(world.wanted, 9, None)] == [None, None]


async def test_a_source_that_is_gone_is_a_clear_refusal() -> None:
    world = World()
    await world.bury(EVENT)
    world.file = {}
    (said,) = reasons(await world.redrive())
    assert said.startswith("its source 'tickets' is gone, or of a file that STRUCTURED_PROMPT_SOURCES does not")


async def test_a_record_that_was_cut_is_a_clear_refusal() -> None:
    world = World()
    await world.bury({"nr": 1, "body": {"text": "x" * (1 << 20)}})
    (said,) = reasons(await world.redrive())
    assert "of which only the first 65536 were kept; send it again where it came from" in said


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "topic: crm.tickets",
            "topic: crm.others",
            "it is of 'crm.tickets', and its source 'tickets' reads 'crm.others'",
        ),
        (
            "topic: crm.tickets",
            "topic: crm.tickets\n    since: 2026-02-01T00:00:00Z",
            "before the `since` of its source",
        ),
    ],
)
async def test_a_source_that_would_not_read_it_now_is_a_clear_refusal(before: str, after: str, said: str) -> None:
    world = World()
    await world.bury(EVENT)
    world.file = load(MENDED.replace(before, after), {})
    assert said in reasons(await world.redrive())[0]


async def test_a_source_that_cannot_be_opened_is_a_clear_refusal() -> None:
    world = World()
    await world.bury(EVENT)

    def missing(_: Source) -> Decoder:
        raise MissingExtra("reading Avro", "avro")

    assert "cannot be opened here: reading Avro needs the extra 'avro'" in reasons(await world.redrive(missing))[0]

    class Wrong(dict[str, Source]):
        def __contains__(self, _: object) -> bool:
            raise InvalidSettings("FORMS_SECRET is not set")

    world.file = Wrong()
    assert "FORMS_SECRET is not set" in reasons(await world.redrive())[0]


async def test_letters_of_others_are_left_alone() -> None:
    world = World()
    await world.bury(EVENT)
    world.wanted = Wanted(None, stage=stage_of("ticket"))
    assert (await world.redrive()).matched == 0
