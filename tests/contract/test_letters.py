"""Dead letters: found by their tenant, redriven once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import Permanent
from domain.ledger.model import Cancel, Cancelling, Grip, Source, Standing, State
from domain.letters.model import Letter, Redriven, Republish, Rerun, Wanted, letter_id
from tests.contract.ledgers import HASH, World, claim, in_hand, in_postgres, settlement, taken

AT = datetime(2026, 1, 1, tzinfo=UTC)


def letter(id: str | None = "a", tenant: str | None = "acme", minutes: int = 0, **more: object) -> Letter:
    fields = {
        "tenant": tenant,
        "id": id,
        "run": 1,
        "stage": "infer",
        "topic": "prompt.calls.standard",
        "offset": minutes,
    }
    at = AT + timedelta(minutes=minutes)
    one = Letter(
        letter_id(fields), tenant, id, 1, "provider_error", "infer", "it broke", "prompt.calls.standard", 5, 100,
        at, at, b"body of " + (id or "nobody").encode(),
    )  # fmt: skip
    return replace(one, **more)  # type: ignore[arg-type]


def record(number: int, tenant: str | None = None, code: str = "unreadable") -> Letter:
    fields = {"stage": "intake", "topic": "prompt.requests", "partition": 0, "offset": number}
    one = letter(None, tenant, number, stage="intake", code=code, run=None, topic="prompt.requests")
    return replace(one, letter=letter_id(fields))


def rerun(of: Letter, not_before: datetime, call: bytes = b"edited", run: int = 1) -> Rerun:
    return Rerun(of.letter, of.tenant or "", of.id or "", run, call, "bulk", True, HASH, not_before)


async def failed(world: World, id: str = "a") -> Letter:
    """A request that failed, with its result out, and its letter."""
    worker, answer = await in_hand(world, id)
    await worker.settle([settlement(id, answer.epoch, state=State.FAILED, error_code="provider_error")])
    await worker.emitted([("acme", id, 1)])
    one = letter(id)
    await world.letters.store([one])
    return one


def names(letters: list[Letter]) -> list[str | None]:
    return [one.id for one in letters]


# --- found -----------------------------------------------------------------------------------------------------------


async def test_letters_are_listed_newest_first_in_pages(world: World) -> None:
    await world.letters.store([letter(f"r{n}", minutes=n) for n in range(5)])
    first = await world.letters.page(Wanted("acme"), 2, None)
    assert names(first) == ["r4", "r3"]
    assert all(one.body is None for one in first)
    second = await world.letters.page(Wanted("acme"), 9, (first[-1].last_seen, first[-1].letter))
    assert names(second) == ["r2", "r1", "r0"]


async def test_letters_are_filtered_by_code_request_time_and_name(world: World) -> None:
    old, new = letter("old"), letter("new", minutes=9, code="invalid_output")
    await world.letters.store([old, new])
    for wanted in (
        Wanted("acme", code="invalid_output"),
        Wanted("acme", id="new"),
        Wanted("acme", since=AT + timedelta(minutes=9)),
        Wanted("acme", letters=(new.letter,)),
        Wanted("acme", stage="infer", since=AT + timedelta(minutes=9)),
    ):
        assert names(await world.letters.page(wanted, 9, None)) == ["new"], wanted
    assert names(await world.letters.page(Wanted("acme", until=AT + timedelta(minutes=9)), 9, None)) == ["old"]
    assert await world.letters.page(Wanted("acme", letters=()), 9, None) == []
    assert await world.letters.page(Wanted("acme", stage="deliver.source-tickets"), 9, None) == []


async def test_tenants_are_walls_and_what_belongs_to_nobody_is_the_operators(world: World) -> None:
    mine, other, nobodys = letter("a"), letter("a", "globex"), record(7)
    await world.letters.store([mine, other, nobodys])
    assert [one.tenant for one in await world.letters.page(Wanted("acme"), 9, None)] == ["acme"]
    assert {one.tenant for one in await world.letters.page(Wanted(None), 9, None)} == {"acme", "globex", None}
    every = [mine.letter, other.letter, nobodys.letter]
    assert [one.body for one in await world.letters.get("acme", every)] == [mine.body]
    assert len(await world.letters.get(None, every)) == 3


async def test_a_letter_that_comes_again_is_the_same_letter(world: World) -> None:
    await world.letters.store([letter(), letter()])
    await world.letters.store([letter(last_seen=AT + timedelta(hours=1), reason="said later")])
    await world.letters.store([letter()])
    [found] = await world.letters.page(Wanted("acme"), 9, None)
    assert (found.first_seen, found.last_seen, found.reason) == (AT, AT + timedelta(hours=1), "it broke")


# --- a new run -------------------------------------------------------------------------------------------------------


async def test_L3_a_redrive_starts_the_next_run_which_waits_for_its_time(world: World) -> None:
    one = await failed(world)
    due = world.now() + timedelta(seconds=60)
    assert await world.letters.rerun([rerun(one, due)]) == [Redriven.STARTED]
    ledger = world.ledger()
    found = await ledger.find("acme", "a")
    assert found is not None
    assert (found.run, found.state, found.reason, found.result, found.attempts) == (
        2,
        State.WAITING,
        "redrive",
        None,
        (),
    )
    assert await ledger.wake(9) == []
    await world.later(61)
    [woken] = await ledger.wake(9)
    assert (woken.id, woken.run, woken.call, woken.lane) == ("a", 2, b"edited", "bulk")
    [shown] = await world.letters.page(Wanted("acme", redriven=True), 9, None)
    assert shown.redriven_run == 2
    assert await world.letters.page(Wanted("acme", redriven=False), 9, None) == []


async def test_L3_the_same_letter_redriven_again_starts_nothing(world: World) -> None:
    one = await failed(world)
    again = rerun(one, world.now())
    assert await world.letters.rerun([again, again]) == [Redriven.STARTED, Redriven.BEFORE]
    assert await world.letters.rerun([again]) == [Redriven.BEFORE]
    found = await world.ledger().find("acme", "a")
    assert found is not None
    assert found.run == 2


@pytest.mark.integration
async def test_L3_of_all_who_redrive_a_letter_at_once_one_starts_the_run(database_url: str) -> None:
    async with in_postgres(database_url) as world:
        letters = [await failed(world, f"r{n}") for n in range(20)]
        orders = [[rerun(one, world.now(), f"operator {n}".encode()) for one in letters] for n in range(8)]
        answers = await asyncio.gather(*(world.letters.rerun(order) for order in orders))
        started = [sum(answer[n] is Redriven.STARTED for answer in answers) for n in range(20)]
        assert started == [1] * 20
        woken = await world.ledger().wake(100)
        assert sorted((one.id, one.run) for one in woken) == sorted((f"r{n}", 2) for n in range(20))


async def test_L3_what_is_unfinished_completed_or_not_out_yet_is_not_redriven(world: World) -> None:
    worker, answer = await in_hand(world, "a")
    one = rerun(letter("a"), world.now())
    assert await world.letters.rerun([one]) == [Redriven.NOT_FAILED]
    await worker.settle([settlement("a", answer.epoch, state=State.FAILED)])
    assert await world.letters.rerun([one]) == [Redriven.NOT_FAILED], "its result is not known to be out"
    worker, answer = await in_hand(world, "b", offset=2)
    await worker.settle([settlement("b", answer.epoch)])
    await worker.emitted([("acme", "b", 1)])
    assert await world.letters.rerun([rerun(letter("b"), world.now())]) == [Redriven.NOT_FAILED]


async def test_L2_the_first_record_is_a_repeat_of_a_redriven_request_and_never_goes_on_with_it(world: World) -> None:
    one = await failed(world)
    await world.letters.rerun([rerun(one, world.now())])
    ledger = world.ledger()
    await world.later(1)
    assert len(await ledger.wake(9)) == 1
    [answer] = await ledger.claim([claim("a")])
    assert answer.standing is Standing.JOINED, "a redelivery would hand on the call as it was before the edit"
    [other] = await ledger.claim([claim("a", offset=99)])
    assert other.standing is Standing.JOINED, "for its sender the id still stands for the same body"
    assert await world.letters.sources([("acme", "a"), ("acme", "b")]) == [Source("prompt.requests", 3, 1), None]


async def test_L3_a_redriven_run_is_worked_on_and_may_be_redriven_itself(world: World) -> None:
    one = await failed(world)
    await world.letters.rerun([rerun(one, world.now())])
    await world.later(1)
    worker = await world.worker()
    await worker.wake(9)
    answer = await taken(worker, "a", run=2)
    assert answer.grip is Grip.TAKEN
    await worker.settle([settlement("a", answer.epoch, run=2, state=State.FAILED)])
    await worker.emitted([("acme", "a", 2)])
    assert await world.letters.rerun([rerun(one, world.now())]) == [Redriven.BEFORE]
    second = replace(one, run=2, letter="2" * 32)
    assert await world.letters.rerun([rerun(second, world.now(), run=2)]) == [Redriven.STARTED]
    assert await world.letters.sources([("acme", "a")]) == [Source("prompt.requests", 3, 1)]


async def test_L3_a_request_whose_id_was_forgotten_is_run_again_all_the_same(world: World) -> None:
    one = letter("forgotten", run=3)
    await world.letters.store([one])
    again = rerun(one, world.now(), run=3)
    assert await world.letters.rerun([again]) == [Redriven.STARTED]
    assert await world.letters.rerun([again]) == [Redriven.BEFORE]
    await world.later(1)
    [woken] = await world.ledger().wake(9)
    assert (woken.id, woken.run, woken.call) == ("forgotten", 4, b"edited")
    assert await world.letters.sources([("acme", "forgotten")]) == [None]


async def test_L15_a_redriven_run_that_was_woken_and_not_produced_is_found(world: World) -> None:
    one = await failed(world)
    await world.letters.rerun([rerun(one, world.now())])
    await world.later(1)
    ledger = world.ledger()
    await ledger.wake(9)
    await world.later(31)
    assert [(found.id, found.run) for found in await ledger.stray(9)] == [("a", 2)]


async def test_L11_a_redrive_that_waits_is_taken_back_by_cancelling_it(world: World) -> None:
    one = await failed(world)
    await world.letters.rerun([rerun(one, world.now() + timedelta(hours=1))])
    ledger = world.ledger()
    assert await ledger.cancel([Cancel("acme", "a")]) == [Cancelling.ASKED]
    [row] = await ledger.cancelled(9)
    assert (row.id, row.run) == ("a", 2)
    ended = settlement(
        "a", row.epoch, run=2, state=State.REJECTED, error_code="cancelled", settled_by="wake", done=None
    )
    [answer] = await ledger.settle([ended])
    assert not isinstance(answer, Permanent)
    assert answer.won
    await world.later(3601)
    assert await ledger.wake(9) == []


# --- the record again ------------------------------------------------------------------------------------------------


async def test_a_record_is_published_again_once_when_it_is_due(world: World) -> None:
    await world.letters.store([record(1), record(2, "acme")])
    soon, later = world.now(), world.now() + timedelta(seconds=40)
    orders = [Republish(record(1).letter, None, soon), Republish(record(2).letter, "acme", later, b"edited")]
    assert await world.letters.republish(orders) == [Redriven.STARTED] * 2
    assert await world.letters.republish(orders) == [Redriven.BEFORE] * 2
    await world.later(1)
    [(due, value)] = await world.letters.due(9)
    assert (due.letter, due.body, value) == (record(1).letter, record(1).body, None)
    assert await world.letters.due(9) == [], "one publisher at a time has it"
    await world.letters.published([due])
    await world.later(60)
    [(due, value)] = await world.letters.due(9)
    assert (due.tenant, value) == ("acme", b"edited")


async def test_a_letter_whose_publisher_died_is_published_by_the_next(world: World) -> None:
    await world.letters.store([record(1)])
    await world.letters.republish([Republish(record(1).letter, None, world.now())])
    await world.later(1)
    assert len(await world.letters.due(9)) == 1
    await world.later(31)
    assert len(await world.letters.due(9)) == 1
