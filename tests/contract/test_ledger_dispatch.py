"""What every ledger does with requests at work or waiting: rules L6 to L10."""

from datetime import timedelta

import pytest

from domain.errors import Conflict, Transient
from domain.ledger.model import Aside, Claimed, Grip, Next, Settled, Standing, State, Taken, still_running
from tests.contract.ledgers import (
    World,
    claim,
    done,
    in_hand,
    park,
    settlement,
    take,
    taken,
)


async def standing(world: World, *claims: object) -> list[Standing]:
    answers = await world.ledger().claim(claims)  # type: ignore[arg-type]
    return [answer.standing for answer in answers if isinstance(answer, Claimed)]


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


async def test_L8_the_attempts_before_a_take_are_those_it_finds_under_the_epoch_of_its_call(world: World) -> None:
    ledger, first = await in_hand(world)
    assert await ledger.go_on([Next("acme", "a", 1, first.epoch, done(1, "invalid_output"), "openai", "large")]) == [2]
    assert await ledger.park([park("a", first.epoch, world.now(), done=done(2, "error"))]) == [True]
    await ledger.claim([claim("b", 2)])
    (woken,) = await ledger.wake(10)
    runs = [("acme", "b", 1), ("acme", "a", 1), ("acme", "a", 2), ("acme", "nobody's", 1), ("other", "a", 1)]
    none, before, *others = await ledger.tried(runs)
    assert (none, others, await ledger.tried([])) == ((), [(), (), ()], [])
    assert [(one.attempt, one.model, one.outcome, one.record) for one in before] == [
        (1, "gpt", "invalid_output", b"usage 1 invalid_output"), (2, "large", "error", b"usage 2 error")
    ]  # fmt: skip
    again = await taken(ledger, epoch=woken.epoch)
    record = await ledger.find("acme", "a")
    assert again.attempt == 3
    assert record is not None
    assert record.attempts[:2] == before
    assert (await ledger.tried(runs[1:2]))[0] == record.attempts


async def test_L8_what_a_fenced_worker_hears_late_is_seen_by_who_looks_again(world: World) -> None:
    fenced, first = await in_hand(world)
    await world.later(11)
    heir = await world.worker()
    await taken(heir)
    (before,) = await heir.tried([("acme", "a", 1)])
    await fenced.settle([settlement(epoch=first.epoch)])
    (after,) = await heir.tried([("acme", "a", 1)])
    assert [[one.outcome for one in found] for found in (before, after)] == [["unknown", "started"], ["ok", "started"]]


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


async def test_L7_what_a_dead_worker_holds_comes_back_through_wake_at_once(world: World) -> None:
    dead, first = await in_hand(world)
    heir = await world.worker()
    await world.after(11, heir)
    assert (await taken(heir, epoch=0)).grip is Grip.HELD
    (woken,) = await heir.wake(10)
    assert woken.epoch == first.epoch + 1
    second = await taken(heir, epoch=woken.epoch)
    assert (second.grip, second.epoch, second.attempt) == (Grip.TAKEN, woken.epoch + 1, 2)
    assert await dead.settle([settlement(epoch=first.epoch)]) == [Settled(False)]


async def test_L7_a_call_of_the_owner_delivered_again_is_taken_again_whatever_its_epoch(world: World) -> None:
    owner, first = await in_hand(world)
    assert (await taken(owner, epoch=0)).grip is Grip.TAKEN
    assert await owner.settle([settlement(epoch=first.epoch)]) == [Settled(False)]


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


async def test_L8_an_attempt_may_begin_beside_one_that_runs_on(world: World) -> None:
    worker, held = await in_hand(world)
    beside = Next("acme", "a", 1, held.epoch, still_running(1), "anthropic", "claude")
    assert await worker.go_on([beside]) == [2]
    assert await worker.go_on([beside]) == [2]  # the answer was lost
    record = await worker.find("acme", "a")
    assert record is not None
    assert [(a.provider, a.outcome, a.finished_at) for a in record.attempts] == [
        ("openai", "started", None),
        ("anthropic", "started", None),
    ]
    left = Aside("acme", "a", 1, done(1, "unknown"))
    await worker.aside([left, Aside("acme", "nobody", 1, done(1))])
    await worker.aside([left])  # the answer was lost
    settled = await worker.settle([settlement(epoch=held.epoch, done=done(2))])
    assert settled == [Settled(True, (b"usage 1 unknown", b"usage 2 ok"))]


async def test_L8_the_outcome_of_an_attempt_aside_is_kept_whoever_has_the_run(world: World) -> None:
    dead, first = await in_hand(world)
    await dead.go_on([Next("acme", "a", 1, first.epoch, still_running(1), "anthropic", "claude")])
    await world.later(11)
    heir = await world.worker()
    third = await taken(heir)
    assert (third.attempt, third.repeats) == (3, True)
    record = await heir.find("acme", "a")
    assert record is not None
    assert [a.outcome for a in record.attempts] == ["unknown", "unknown", "started"]
    await dead.aside([Aside("acme", "a", 1, done(1))])
    assert await heir.settle([settlement(epoch=third.epoch, done=done(3))]) == [
        Settled(True, (b"usage 1 ok", b"usage 3 ok"))
    ]


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


async def test_L9_a_park_of_intake_heard_of_no_call_and_resets_nothing(world: World) -> None:
    """Intake that stood still parks, over the limit, what a worker has taken and died of since."""
    await in_hand(world, fail_on_unknown=True)
    await world.later(40)
    heir = await world.worker()
    [stray] = await heir.stray(10)
    assert await heir.park([park("a", stray.epoch, world.now(), reason="rate_limit")]) == [True]
    await world.after(1, heir)
    assert len(await heir.wake(1)) == 1
    assert (await taken(heir)).grip is Grip.EXHAUSTED


async def test_L9_who_asks_for_it_is_never_called_twice_on_an_unknown_outcome(world: World) -> None:
    await in_hand(world, fail_on_unknown=True)
    await world.later(11)
    assert (await taken(await world.worker())).grip is Grip.EXHAUSTED


async def test_L9_a_call_that_repeats_one_of_unknown_outcome_is_told_and_stays_visible(world: World) -> None:
    dead, first = await in_hand(world)
    await world.later(11)
    heir = await world.worker()
    second = await taken(heir)
    assert await heir.park([park("a", second.epoch, world.now(), done=done(2, "rate_limited"))]) == [True]
    await world.after(1, heir)
    assert len(await heir.wake(1)) == 1
    third = await taken(heir)
    assert await heir.go_on([Next("acme", "a", 1, third.epoch, done(3, "invalid_output"), "openai", "gpt")]) == [4]
    assert [one.repeats for one in (first, second, third)] == [False, True, False]
    for late in (None, settlement(epoch=first.epoch)):  # what the fenced worker heard changes nothing of it
        assert late is None or await dead.settle([late]) == [Settled(False)]
        record = await heir.find("acme", "a")
        assert record is not None
        assert (record.attempts[0].outcome, record.repeated) == ("ok" if late else "unknown", 1)
        assert [view.repeated for view in await world.jobs.view("acme", ["a"])] == [1]


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
