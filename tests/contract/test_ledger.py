"""What every ledger does: rules L1 to L16, each test named by the one it proves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from domain.errors import Conflict, Permanent, Transient
from domain.ledger.model import Claimed, Grip, Next, Settled, Source, Standing, State, Taken
from tests.contract.ledgers import (
    NEWER_HASH,
    OTHER_HASH,
    World,
    claim,
    done,
    in_hand,
    in_memory,
    in_postgres,
    park,
    settlement,
    take,
    taken,
)


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@pytest.fixture
async def world(database: str | None) -> AsyncIterator[World]:
    async with in_memory() if database is None else in_postgres(database) as found:
        yield found


async def standing(world: World, *claims: object) -> list[Standing]:
    answers = await world.ledger().claim(claims)  # type: ignore[arg-type]
    return [answer.standing for answer in answers if isinstance(answer, Claimed)]


# --- claim -----------------------------------------------------------------------------------------------------------


async def test_L1_the_first_of_a_batch_claims_and_the_others_meet_it(world: World) -> None:
    batch = [claim("a", 1), claim("b", 2), claim("a", 3), claim("a", 4, body_hash=OTHER_HASH), claim("a", 1)]
    assert await standing(world, *batch) == [
        Standing.NEW,
        Standing.NEW,
        Standing.JOINED,
        Standing.CONFLICT,
        Standing.RESUMED,
    ]


async def test_L1_tenants_are_walls(world: World) -> None:
    assert await standing(world, claim("a"), claim("a", tenant="other")) == [Standing.NEW, Standing.NEW]


async def test_L2_the_same_source_resumes_what_intake_did_not_finish(world: World) -> None:
    await world.ledger().claim([claim("a", 7)])
    answers = await world.ledger().claim([claim("a", 7)])
    assert answers == [Claimed(Standing.RESUMED, 1, State.ACCEPTED, None, 0)]


async def test_L2_the_same_source_of_a_row_that_others_carry_on_is_nothing_to_do(world: World) -> None:
    worker, held = await in_hand(world)
    assert await standing(world, claim()) == [Standing.SETTLED_ELSEWHERE]
    await worker.settle([settlement(epoch=held.epoch)])
    assert await standing(world, claim()) == [Standing.SETTLED_ELSEWHERE]


async def test_L2_the_same_source_of_a_row_that_intake_settled_produces_its_bytes_again(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    end = settlement(epoch=0, state=State.REJECTED, settled_by="intake", error_code="unknown_model", done=None)
    assert await ledger.settle([end]) == [Settled(True)]
    assert await ledger.claim([claim()]) == [Claimed(Standing.EMIT, 1, State.REJECTED, b"result of a", 0)]


async def test_L15_a_redelivery_of_an_emitted_row_produces_nothing(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    await ledger.settle([settlement(epoch=0, settled_by="intake", done=None)])
    await ledger.emitted([("acme", "a", 1)])
    assert await standing(world, claim()) == [Standing.SETTLED_ELSEWHERE]


async def test_L2_another_source_joins_what_is_unfinished_and_gets_what_is_finished(world: World) -> None:
    worker, held = await in_hand(world)
    assert await standing(world, claim(offset=2)) == [Standing.JOINED]
    await worker.settle([settlement(epoch=held.epoch)])
    answers = await world.ledger().claim([claim(offset=2)])
    assert answers == [Claimed(Standing.REPEATED, 1, State.COMPLETED, b"result of a", held.epoch)]


async def test_L2_another_body_is_a_conflict_unless_it_was_hashed_another_way(world: World) -> None:
    await world.ledger().claim([claim()])
    assert await standing(world, claim(offset=2, body_hash=OTHER_HASH)) == [Standing.CONFLICT]
    assert await standing(world, claim(offset=2, body_hash=NEWER_HASH)) == [Standing.JOINED]


async def test_L3_a_new_run_needs_intent_and_a_new_source(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED, error_code="provider_error")])
    assert await standing(world, claim(offset=1, rerun=True)) == [Standing.SETTLED_ELSEWHERE]
    assert await standing(world, claim(offset=2)) == [Standing.REPEATED]
    answers = await world.ledger().claim([claim(offset=2, rerun=True), claim(offset=3, rerun=True)])
    assert answers == [
        Claimed(Standing.NEW, 2, State.ACCEPTED, None, held.epoch + 1),
        Claimed(Standing.JOINED, 2, State.ACCEPTED, None, held.epoch + 1),
    ]
    assert await standing(world, claim(offset=2, rerun=True)) == [Standing.RESUMED]


async def test_L3_what_completed_never_runs_again(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch)])
    assert await standing(world, claim(offset=2, rerun=True)) == [Standing.REPEATED]


async def test_L3_a_rerun_of_another_body_is_a_conflict(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED)])
    assert await standing(world, claim(offset=2, rerun=True, body_hash=OTHER_HASH)) == [Standing.CONFLICT]


async def test_L3_a_call_of_an_older_run_is_dropped(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED)])
    await worker.claim([claim(offset=2, rerun=True)])
    assert (await taken(worker, run=1)).grip is Grip.STALE
    second = await taken(worker, run=2)
    assert (second.grip, second.attempt) == (Grip.TAKEN, 1)


async def test_L3_a_new_run_starts_afresh_and_keeps_the_epoch_growing(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED, error_code="provider_error")])
    await worker.emitted([("acme", "a", 1)])
    await worker.claim([claim(offset=2, rerun=True)])
    record = await worker.find("acme", "a")
    assert record is not None
    assert (record.run, record.state, record.attempts, record.result) == (2, State.ACCEPTED, (), None)
    assert (record.error_code, record.settled_by, record.emitted_at) == (None, None, None)
    assert record.epoch > held.epoch
    assert record.source == Source("prompt.requests", 3, 2)


# --- dispatch --------------------------------------------------------------------------------------------------------


async def test_L6_a_worker_takes_only_under_a_lease(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    with pytest.raises(Conflict, match="register"):
        await ledger.take([take()])
    await ledger.register("late", "infer")
    await world.later(11)
    with pytest.raises(Transient, match="lease"):
        await ledger.take([take()])
    await ledger.renew()
    assert (await taken(ledger)).grip is Grip.TAKEN


async def test_L6_registering_twice_keeps_the_worker(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    await ledger.register("same", "infer")
    held = await taken(ledger)
    await ledger.register("same", "infer")
    assert await ledger.settle([settlement(epoch=held.epoch)]) == [Settled(True, (b"usage 1 ok",))]


async def test_L6_a_dead_worker_is_taken_over_and_fenced(world: World) -> None:
    dead, first = await in_hand(world)
    await world.later(11)
    heir = await world.worker()
    second = await taken(heir)
    assert (second.grip, second.epoch, second.attempt) == (Grip.TAKEN, first.epoch + 1, 2)
    assert await dead.settle([settlement(epoch=first.epoch)]) == [Settled(False)]
    assert await heir.settle([settlement(epoch=second.epoch, done=done(2))]) == [
        Settled(True, (b"usage 1 ok", b"usage 2 ok"))
    ]


async def test_L6_a_released_lease_is_free_at_once(world: World) -> None:
    leaving, _ = await in_hand(world)
    heir = await world.worker()
    await world.after(2, leaving, heir)
    await leaving.release()
    assert (await taken(heir)).grip is Grip.TAKEN


async def test_L7_a_live_lease_of_another_is_looked_at_again_when_it_ends(world: World) -> None:
    owner, _ = await in_hand(world)
    other = await world.worker()
    await world.after(2, owner, other)
    assert (await taken(other)).grip is Grip.HELD
    assert await other.next_due() is not None
    assert await other.wake(10) == []
    await world.after(11, owner, other)
    assert await other.wake(10) == []  # the owner lives: look again later
    assert await other.next_due() is not None
    await world.after(11, other)
    woken = await other.wake(10)
    assert [(row.id, row.run, row.lane, row.call) for row in woken] == [("a", 1, "standard", b"call a 1")]
    assert (await taken(other)).grip is Grip.TAKEN
    assert await other.next_due() is None


async def test_L7_the_look_is_over_when_the_owner_finished(world: World) -> None:
    owner, held = await in_hand(world)
    other = await world.worker()
    assert (await taken(other)).grip is Grip.HELD
    await owner.settle([settlement(epoch=held.epoch)])
    await world.after(11, owner, other)
    assert await other.wake(10) == []
    assert await other.next_due() is None


async def test_L7_a_park_of_the_owner_replaces_the_look(world: World) -> None:
    owner, held = await in_hand(world)
    other = await world.worker()
    assert (await taken(other)).grip is Grip.HELD
    assert await owner.park([park("a", held.epoch, world.now() + timedelta(seconds=60))]) == [True]
    await world.after(20, owner, other)
    assert await other.wake(10) == []
    await world.after(60, owner, other)
    assert [row.id for row in await other.wake(10)] == ["a"]


async def test_L8_an_attempt_is_recorded_before_the_call(world: World) -> None:
    worker, held = await in_hand(world)
    record = await worker.find("acme", "a")
    assert record is not None
    assert [(a.attempt, a.epoch, a.provider, a.model, a.outcome) for a in record.attempts] == [
        (1, held.epoch, "openai", "gpt", "started")
    ]


async def test_L8_no_attempt_is_recorded_where_no_call_will_be_made(world: World) -> None:
    worker = await world.worker()
    await worker.claim([claim()])
    assert await taken(worker, calls=False) == Taken(Grip.TAKEN, 1, 0)
    assert await worker.settle([settlement(state=State.REJECTED, done=None)]) == [Settled(True)]


async def test_L8_a_re_ask_completes_one_attempt_and_starts_the_next(world: World) -> None:
    worker, held = await in_hand(world)
    again = Next("acme", "a", 1, held.epoch, done(1, "invalid_output"), "anthropic", "claude")
    assert await worker.go_on([again]) == [2]
    assert await worker.go_on([again]) == [2]  # the answer was lost
    record = await worker.find("acme", "a")
    assert record is not None
    assert [(a.provider, a.outcome, a.record) for a in record.attempts] == [
        ("openai", "invalid_output", b"usage 1 invalid_output"),
        ("anthropic", "started", None),
    ]
    assert (record.attempts[0].cost_usd, record.attempts[0].input_tokens) == (done().cost_usd, 31)
    settled = await worker.settle([settlement(epoch=held.epoch, done=done(2))])
    assert settled == [Settled(True, (b"usage 1 invalid_output", b"usage 2 ok"))]


async def test_L8_a_fenced_worker_may_not_call_again_but_its_bill_is_kept(world: World) -> None:
    dead, first = await in_hand(world)
    await world.later(11)
    heir = await world.worker()
    second = await taken(heir)
    assert await dead.go_on([Next("acme", "a", 1, first.epoch, done(1, "invalid_output"), "openai", "gpt")]) == [0]
    record = await heir.find("acme", "a")
    assert record is not None
    assert [a.outcome for a in record.attempts] == ["invalid_output", "started"]
    await heir.settle([settlement(epoch=second.epoch, done=done(2))])
    await dead.settle([settlement(epoch=first.epoch, done=done(1, "error"))])
    record = await heir.find("acme", "a")
    assert record is not None
    assert [a.outcome for a in record.attempts] == ["invalid_output", "ok"]  # the first word stays


async def test_L8_the_attempt_of_a_dead_worker_is_unknown(world: World) -> None:
    await in_hand(world)
    await world.later(11)
    heir = await world.worker()
    await taken(heir)
    record = await heir.find("acme", "a")
    assert record is not None
    assert [a.outcome for a in record.attempts] == ["unknown", "started"]


async def test_L8_the_bill_of_an_older_run_is_kept(world: World) -> None:
    slow, first = await in_hand(world)
    await world.later(11)
    heir = await world.worker()
    second = await taken(heir)
    await heir.settle([settlement(epoch=second.epoch, state=State.FAILED, done=done(2, "error"))])
    await heir.claim([claim(offset=2, rerun=True)])
    assert await slow.settle([settlement(epoch=first.epoch)]) == [Settled(False)]
    assert (await taken(heir, run=2)).attempt == 1
    record = await heir.find("acme", "a")
    assert record is not None
    assert [a.outcome for a in record.attempts] == ["started"]


async def test_L9_a_request_that_takes_its_workers_down_ends(world: World) -> None:
    await world.ledger().claim([claim()])
    for _ in range(3):
        assert (await taken(await world.worker())).grip is Grip.TAKEN
        await world.later(11)
    last = await world.worker()
    exhausted = await taken(last)
    assert (exhausted.grip, exhausted.attempt) == (Grip.EXHAUSTED, 3)
    end = settlement(epoch=exhausted.epoch, state=State.FAILED, error_code="unknown_outcome", done=None)
    assert await last.settle([end]) == [Settled(True)]
    record = await last.find("acme", "a")
    assert record is not None
    assert [a.outcome for a in record.attempts] == ["unknown"] * 3


async def test_L9_a_park_is_heard_of_and_resets_the_count(world: World) -> None:
    worker = await world.worker()
    await worker.claim([claim()])
    for attempt in range(1, 6):
        held = await taken(worker)
        assert (held.grip, held.attempt) == (Grip.TAKEN, attempt)
        assert await worker.park([park("a", held.epoch, world.now(), done=done(attempt, "rate_limited"))]) == [True]
        await world.after(1, worker)
        assert len(await worker.wake(1)) == 1


async def test_L9_who_asks_for_it_is_never_called_twice_on_an_unknown_outcome(world: World) -> None:
    await in_hand(world, fail_on_unknown=True)
    await world.later(11)
    assert (await taken(await world.worker())).grip is Grip.EXHAUSTED


async def test_L10_what_waits_is_released_and_comes_back_when_it_is_due(world: World) -> None:
    worker, held = await in_hand(world)
    until = world.now() + timedelta(seconds=60)
    parked = park("a", held.epoch, until, done=done(1, "rate_limited"))
    assert await worker.park([parked]) == [True]
    assert await worker.park([parked]) == [True]  # the answer was lost
    record = await worker.find("acme", "a")
    assert record is not None
    assert (record.state, record.reason, record.worker) == (State.WAITING, "retry", None)
    assert record.not_before == await worker.next_due()
    assert (await taken(worker)).grip is Grip.STALE  # a delivery before not_before is dropped
    assert await worker.wake(10) == []
    await world.after(61, worker)
    woken = await worker.wake(10)
    assert [(row.id, row.call) for row in woken] == [("a", b"call a 1")]
    assert await worker.wake(10) == []
    again = await taken(worker)
    assert (again.grip, again.attempt) == (Grip.TAKEN, 2)
    assert again.epoch > woken[0].epoch > held.epoch


async def test_L10_a_fenced_worker_cannot_park(world: World) -> None:
    dead, first = await in_hand(world)
    await world.later(11)
    heir = await world.worker()
    second = await taken(heir)
    assert await dead.park([park("a", first.epoch, world.now(), done=done(1, "timeout"))]) == [False]
    assert await heir.settle([settlement(epoch=second.epoch, done=done(2))]) == [
        Settled(True, (b"usage 1 timeout", b"usage 2 ok"))
    ]


async def test_L10_intake_parks_what_it_claimed(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    assert await ledger.park([park("a", 0, world.now() - timedelta(seconds=1), reason="rate_limit")]) == [True]
    assert await standing(world, claim()) == [Standing.SETTLED_ELSEWHERE]
    assert [row.id for row in await ledger.wake(10)] == ["a"]


async def test_L10_wake_brings_what_is_due_first_and_no_more_than_asked(world: World) -> None:
    ledger = world.ledger()
    ids = ["c", "a", "b", "d"]
    await ledger.claim([claim(id) for id in ids])
    past = world.now() - timedelta(seconds=100)
    parks = [park(id, 0, past + timedelta(seconds=n), lane="bulk") for n, id in enumerate(ids)]
    assert await ledger.park(parks) == [True] * 4
    assert [(row.id, row.lane) for row in await ledger.wake(3)] == [("c", "bulk"), ("a", "bulk"), ("b", "bulk")]
    assert [row.id for row in await ledger.wake(3)] == ["d"]


async def test_L10_a_wait_whose_request_was_settled_meanwhile_wakes_nobody(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    await ledger.park([park("a", 0, world.now())])
    end = settlement(epoch=1, state=State.REJECTED, settled_by="wake", error_code="deadline_exceeded", done=None)
    assert await ledger.settle([end]) == [Settled(True)]
    await world.later(1)
    assert await ledger.wake(10) == []
    assert await ledger.next_due() is None


# --- settle ----------------------------------------------------------------------------------------------------------


async def test_L11_one_settlement_wins_and_every_other_loses(world: World) -> None:
    worker, held = await in_hand(world)
    mine = settlement(epoch=held.epoch)
    assert await worker.settle([mine]) == [Settled(True, (b"usage 1 ok",))]
    other = replace(mine, state=State.FAILED, result=b"another", settled_by="wake", done=None)
    assert await world.ledger().settle([other]) == [Settled(False)]
    record = await worker.find("acme", "a")
    assert record is not None
    assert (record.state, record.result, record.settled_by) == (State.COMPLETED, b"result of a", "infer")


async def test_L11_the_winner_that_did_not_hear_of_it_wins_again(world: World) -> None:
    worker, held = await in_hand(world)
    mine = settlement(epoch=held.epoch)
    assert await worker.settle([mine]) == await worker.settle([mine]) == [Settled(True, (b"usage 1 ok",))]


async def test_L11_a_delivery_of_a_settled_request_produces_its_bytes_until_they_are_known_to_be_out(
    world: World,
) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch)])
    assert await taken(worker) == Taken(Grip.UNEMITTED, result=b"result of a", usage=(b"usage 1 ok",))
    await worker.emitted([("acme", "a", 1), ("acme", "gone", 1)])
    assert await taken(worker) == Taken(Grip.FINISHED)


async def test_L11_emitted_of_an_older_run_says_nothing_of_the_newer(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED)])
    await worker.claim([claim(offset=2, rerun=True)])
    second = await taken(worker, run=2)
    await worker.settle([settlement(epoch=second.epoch, run=2)])
    await worker.emitted([("acme", "a", 1)])
    assert (await taken(worker, run=2)).grip is Grip.UNEMITTED


# --- the sweeper -----------------------------------------------------------------------------------------------------


async def test_L15_a_call_that_was_never_produced_is_found(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    await world.later(20)
    assert await ledger.stray(10) == []
    await world.later(15)
    found = await ledger.stray(10)
    assert [(row.id, row.run, row.call) for row in found] == [("a", 1, b"call a 1")]


async def test_L15_a_call_that_waits_in_a_long_queue_is_not_produced_again_and_again(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    await world.later(31)
    assert len(await ledger.stray(10)) == 1
    await world.later(120)
    assert await ledger.stray(10) == []
    await world.later(200)
    assert len(await ledger.stray(10)) == 1


async def test_L15_what_a_dead_worker_held_is_found_once(world: World) -> None:
    _, held = await in_hand(world)
    await world.later(60)
    one, two = world.ledger(), world.ledger()
    found = await one.stray(10)
    assert [row.id for row in found] == ["a"]
    assert await two.stray(10) == []
    heir = await world.worker()
    again = await taken(heir)
    assert (again.grip, again.attempt) == (Grip.TAKEN, 2)
    assert again.epoch > held.epoch


async def test_L15_what_a_live_worker_holds_or_what_waits_is_not_stray(world: World) -> None:
    worker, _ = await in_hand(world)
    await worker.claim([claim("b", 2), claim("c", 3)])
    await worker.park([park("b", 0, world.now() + timedelta(seconds=1000))])
    await worker.settle([settlement("c", 0, settled_by="intake", done=None)])
    await worker.emitted([("acme", "c", 1)])
    for _ in range(8):
        await world.after(40, worker)
        assert await worker.stray(10) == []
        assert await worker.unemitted(10) == []


async def test_L15_a_woken_request_that_was_not_produced_is_found(world: World) -> None:
    ledger = world.ledger()
    await ledger.claim([claim()])
    await ledger.park([park("a", 0, world.now() + timedelta(seconds=100))])
    await world.later(101)
    assert await ledger.stray(10) == []
    assert len(await ledger.wake(10)) == 1
    await world.later(31)
    assert [row.id for row in await ledger.stray(10)] == ["a"]


async def test_L15_a_result_that_is_not_known_to_be_produced_is_found(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch)])
    assert await worker.unemitted(10) == []
    await world.after(31, worker)
    found = await worker.unemitted(10)
    assert [(row.id, row.run, row.call, row.result, row.usage) for row in found] == [
        ("a", 1, b"call a 1", b"result of a", (b"usage 1 ok",))
    ]
    assert await worker.unemitted(10) == []
    await world.after(61, worker)
    assert len(await worker.unemitted(10)) == 1
    await worker.emitted([("acme", "a", 1)])
    await world.after(61, worker)
    assert await worker.unemitted(10) == []


async def test_L15_a_deadline_that_passed_while_nobody_works_on_it_is_found(world: World) -> None:
    worker = await world.worker()
    deadline = world.now() + timedelta(seconds=20)
    await worker.claim([claim(id, n, deadline=deadline) for n, id in enumerate("abc")])
    await worker.park([park("b", 0, world.now() + timedelta(seconds=500))])
    await taken(worker, "c")
    await world.after(15, worker)
    assert await worker.overdue(10) == []
    await world.after(6, worker)
    found = await worker.overdue(10)
    assert sorted((row.id, row.epoch) for row in found) == [("a", 0), ("b", 1)]
    ends = [
        settlement(
            row.id, row.epoch, state=State.REJECTED, settled_by="wake", done=None, error_code="deadline_exceeded"
        )
        for row in found
    ]
    assert await worker.settle(ends) == [Settled(True)] * 2
    await world.after(61, worker)
    assert await worker.overdue(10) == []


async def test_L15_a_new_run_is_watched_like_the_first(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED)])
    await worker.emitted([("acme", "a", 1)])
    await world.after(60, worker)
    assert await worker.stray(10) == []
    await worker.claim([claim(offset=2, rerun=True)])
    await world.after(60, worker)
    assert [(row.id, row.run, row.call) for row in await worker.stray(10)] == [("a", 2, b"call a 2")]


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", ["nul\0", "surrogate\ud800"], ids=["nul", "surrogate"])
async def test_L16_one_bad_row_never_fails_its_neighbours(world: World, bad: str) -> None:
    worker = await world.worker()
    ids = ["a", "b", bad, "c", "d"]
    good = [0, 1, 3, 4]
    claims = await worker.claim([claim(id, n) for n, id in enumerate(ids)])
    assert isinstance(claims[2], Permanent)
    assert [claims[n] for n in good] == [Claimed(Standing.NEW, 1, State.ACCEPTED)] * 4
    takes = await worker.take([take(id) for id in ids])
    assert isinstance(takes[2], Permanent)
    assert [takes[n] for n in good] == [Taken(Grip.TAKEN, 1, 1)] * 4
    parks = await worker.park([park("a", 1, world.now()), park("b", 1, world.now(), reason=bad)])
    assert parks[0] is True
    assert isinstance(parks[1], Permanent)
    settled = await worker.settle([settlement("c"), settlement("d", error_code=bad)])
    assert settled[0] == Settled(True, (b"usage 1 ok",))
    assert isinstance(settled[1], Permanent)


async def test_L16_answers_come_in_the_order_of_the_batch(world: World) -> None:
    worker = await world.worker()
    ids = [f"r{(n * 7919) % 97:02}" for n in range(97)]
    await worker.claim([claim(id) for id in ids[::2]])
    takes = await worker.take([take(id) for id in ids])
    grips = [answer.grip for answer in takes if isinstance(answer, Taken)]
    assert grips == [Grip.TAKEN if n % 2 == 0 else Grip.STALE for n in range(97)]
    settled = await worker.settle([settlement(id, done=done(1, id)) for id in ids])
    assert settled == [
        Settled(True, (f"usage 1 {id}".encode(),)) if n % 2 == 0 else Settled(False) for n, id in enumerate(ids)
    ]


async def test_L16_a_batch_may_hold_a_request_twice(world: World) -> None:
    worker = await world.worker()
    await worker.claim([claim()])
    takes = await worker.take([take(run=2), take(run=1)])
    assert takes == [Taken(Grip.STALE), Taken(Grip.TAKEN, 1, 1)]
    first = settlement(epoch=1)
    settled = await worker.settle([first, replace(first, result=b"another"), first])
    assert settled == [Settled(True, (b"usage 1 ok",)), Settled(False), Settled(True, (b"usage 1 ok",))]


async def test_L16_what_a_worker_took_and_asks_for_again_is_a_new_attempt(world: World) -> None:
    worker, held = await in_hand(world)
    again = await taken(worker)
    assert (again.grip, again.epoch, again.attempt) == (Grip.TAKEN, held.epoch + 1, 2)
    assert await worker.settle([settlement(epoch=held.epoch)]) == [Settled(False)]


async def test_L16_empty_batches_are_answered(world: World) -> None:
    worker = await world.worker()
    assert await worker.claim([]) == await worker.take([]) == await worker.go_on([]) == []
    assert await worker.settle([]) == await worker.park([]) == []
    await worker.emitted([])


async def test_an_unknown_request_is_not_found(world: World) -> None:
    assert await world.ledger().find("acme", "nobody") is None
