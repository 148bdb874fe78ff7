"""Cancelling a request wherever it stands (rule L11), over every ledger."""

import asyncio
from datetime import UTC, datetime

import pytest

from domain.jobs.model import Job
from domain.ledger.model import Cancel, Cancelling, Claimed, Grip, Settled, Standing, State
from domain.ports import Ledger
from tests.contract.ledgers import (
    HASH,
    World,
    claim,
    done,
    in_hand,
    park,
    settlement,
    take,
    taken,
)


async def cancel(ledger: Ledger, id: str = "a") -> Cancelling:
    answer = (await ledger.cancel([Cancel("acme", id)]))[0]
    assert isinstance(answer, Cancelling)
    return answer


async def due(ledger: Ledger) -> list[tuple[str, int, int]]:
    return [(row.id, row.run, row.epoch) for row in await ledger.cancelled(100)]


def job(id: str = "a") -> Job:
    return Job("acme", id, HASH, b"{}", datetime(2026, 1, 1, tzinfo=UTC))


async def claimed(ledger: Ledger, id: str = "a", offset: int = 1, **more: bool) -> Claimed:
    answer = (await ledger.claim([claim(id, offset, **more)]))[0]
    assert isinstance(answer, Claimed)
    return answer


async def test_L11_a_request_nobody_knows_cannot_be_cancelled(world: World) -> None:
    ledger = world.ledger()
    assert await cancel(ledger) is Cancelling.UNKNOWN
    await claimed(ledger)
    assert await ledger.cancel([Cancel("globex", "a"), Cancel("acme", "a")]) == [
        Cancelling.UNKNOWN,
        Cancelling.ASKED,
    ]
    record = await ledger.find("acme", "a")
    assert record is not None
    assert record.state is State.ACCEPTED


async def test_L11_a_job_that_is_not_claimed_yet_meets_the_cancel_at_its_claim(world: World) -> None:
    ledger = world.ledger()
    await world.jobs.submit([job(), job("b")])
    assert await cancel(ledger) is Cancelling.ASKED
    assert await due(ledger) == []
    answers = await ledger.claim([claim("b", 2), claim("a", 1)])
    assert [(a.standing, a.cancelled) for a in answers if isinstance(a, Claimed)] == [
        (Standing.NEW, False),
        (Standing.NEW, True),
    ]
    # intake died before it settled: its redelivery knows, and the sweep finds it in any case
    again = await claimed(ledger)
    assert (again.standing, again.cancelled) == (Standing.RESUMED, True)
    await world.later(10)
    assert await due(ledger) == [("a", 1, 0)]


async def test_L11_what_is_accepted_or_waits_is_settled_at_once_and_never_called(world: World) -> None:
    ledger, worker = world.ledger(), await world.worker()
    await ledger.claim([claim("a", 1), claim("b", 2)])
    await ledger.park([park("b", 0, world.now())])
    assert await ledger.cancel([Cancel("acme", "b"), Cancel("acme", "a")]) == [Cancelling.ASKED] * 2
    assert sorted(await due(ledger)) == [("a", 1, 0), ("b", 1, 1)]
    for id, epoch in (("a", 0), ("b", 1)):
        end = settlement(id, epoch, state=State.REJECTED, error_code="cancelled", settled_by="wake", done=None)
        [answer] = await ledger.settle([end])
        assert getattr(answer, "won", False)
    assert (await taken(worker, "a")).grip is Grip.UNEMITTED
    await world.later(60)
    assert await ledger.wake(10) == []
    assert await due(ledger) == []
    views = await world.jobs.view("acme", ["a", "b"])
    assert [view.state for view in views] == ["cancelled", "cancelled"]


async def test_L11_a_worker_that_takes_it_before_the_sweep_ends_it_without_a_call(world: World) -> None:
    ledger, worker = world.ledger(), await world.worker()
    await claimed(ledger)
    await cancel(ledger)
    met = await taken(worker)
    assert (met.grip, met.epoch, met.attempt) == (Grip.CANCELLED, 1, 0)
    record = await ledger.find("acme", "a")
    assert record is not None
    assert record.attempts == ()
    end = settlement(epoch=1, state=State.REJECTED, error_code="cancelled", done=None)
    assert await worker.settle([end]) == [Settled(True)]


async def test_L11_the_owner_of_a_running_call_is_told_and_nobody_else(world: World) -> None:
    owner, held = await in_hand(world)
    other = await world.worker()
    assert await owner.abandoned() == []
    assert await cancel(other) is Cancelling.ASKED
    assert await owner.abandoned() == [("acme", "a", 1)]
    assert await other.abandoned() == []
    assert await due(other) == []  # its owner ends it
    await owner.settle([settlement(epoch=held.epoch, state=State.FAILED, error_code="cancelled")])
    await world.after(2, owner)
    assert await due(other) == []
    assert await owner.abandoned() == []


async def test_L11_who_dies_with_the_wish_unheard_is_swept_and_its_attempt_counts(world: World) -> None:
    _, held = await in_hand(world)
    other = await world.worker()
    await cancel(other)
    await world.after(11, other)
    assert await due(other) == [("a", 1, held.epoch)]
    # and whoever takes it over before that makes no call either
    met = await taken(other)
    assert (met.grip, met.epoch) == (Grip.CANCELLED, held.epoch + 1)
    record = await other.find("acme", "a")
    assert record is not None
    assert [attempt.outcome for attempt in record.attempts] == ["unknown"]


async def test_L11_what_its_owner_parks_is_settled_instead_of_woken(world: World) -> None:
    owner, held = await in_hand(world)
    await cancel(owner)
    await owner.park([park("a", held.epoch, world.now(), done=done())])
    await world.after(2, owner)
    assert await due(owner) == [("a", 1, held.epoch + 1)]


async def test_L11_a_final_request_cannot_be_cancelled(world: World) -> None:
    owner, held = await in_hand(world)
    await owner.settle([settlement(epoch=held.epoch)])
    assert await cancel(owner) is Cancelling.FINAL
    await world.after(2, owner)
    assert await due(owner) == []


async def test_L11_an_answer_that_is_settled_first_wins_over_the_cancel(world: World) -> None:
    owner, held = await in_hand(world)
    await cancel(owner)
    [answer] = await owner.settle([settlement(epoch=held.epoch)])
    assert getattr(answer, "won", False)
    await world.after(2, owner)
    assert await due(owner) == []
    assert [view.state for view in await world.jobs.view("acme", ["a"])] == ["completed"]


async def test_L11_cancelling_twice_is_cancelling_once(world: World) -> None:
    ledger = world.ledger()
    await claimed(ledger)
    asked = await ledger.cancel([Cancel("acme", "a"), Cancel("acme", "a")])
    assert asked == [Cancelling.ASKED, Cancelling.ASKED]
    assert await cancel(ledger) is Cancelling.ASKED
    assert await due(ledger) == [("a", 1, 0)]


async def test_L11_a_cancel_ends_its_run_and_not_the_next(world: World) -> None:
    ledger, worker = world.ledger(), await world.worker()
    await claimed(ledger)
    await cancel(ledger)
    end = settlement(epoch=0, state=State.REJECTED, error_code="cancelled", done=None)
    await ledger.settle([end])
    again = await claimed(ledger, offset=2, rerun=True)
    assert (again.standing, again.run, again.cancelled) == (Standing.NEW, 2, False)
    assert (await taken(worker, run=2)).grip is Grip.TAKEN
    await world.after(2, worker)
    assert await due(ledger) == []
    assert await worker.abandoned() == []


async def test_L11_a_request_claimed_at_the_moment_of_its_cancel_ends_all_the_same(world: World) -> None:
    """The claim does not see the wish, the wish does not see the claim: the sweep sees both."""
    ledger = world.ledger()
    await world.jobs.submit([job(f"r{n}") for n in range(60)])
    ids = [f"r{n}" for n in range(60)]
    await asyncio.gather(
        *(ledger.cancel([Cancel("acme", id)]) for id in ids), *(ledger.claim([claim(id, 1)]) for id in ids)
    )
    await world.later(10)
    assert sorted(id for id, _, _ in await due(ledger)) == sorted(ids)
    worker = await world.worker()
    assert {
        answer.grip for answer in await worker.take([take(id) for id in ids]) if not isinstance(answer, Exception)
    } == {Grip.CANCELLED}


@pytest.mark.parametrize("id", ["nul\0", "lone\ud800"])
async def test_L16_an_id_that_cannot_be_stored_fails_alone(world: World, id: str) -> None:
    ledger = world.ledger()
    await claimed(ledger)
    bad, good = await ledger.cancel([Cancel("acme", id), Cancel("acme", "a")])
    assert isinstance(bad, Exception)
    assert good is Cancelling.ASKED
