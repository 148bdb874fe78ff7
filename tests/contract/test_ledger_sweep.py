"""What every ledger finds again: rule L15."""

from datetime import timedelta

from domain.ledger.model import Grip, Settled, State
from tests.contract.ledgers import (
    World,
    claim,
    in_hand,
    park,
    settlement,
    taken,
)

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


async def test_L15_a_take_that_was_given_up_holds_nothing_once_its_request_went_on(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.park([park("a", held.epoch, world.now())])
    await world.after(1, worker)
    (woken,) = await worker.wake(10)
    assert (await taken(worker, epoch=0)).grip is Grip.STALE  # done late, by a server that was slow
    record = await worker.find("acme", "a")
    assert record is not None
    assert (record.state, record.epoch, len(record.attempts)) == (State.ACCEPTED, woken.epoch, 1)
    assert (await taken(worker, epoch=woken.epoch)).grip is Grip.TAKEN


async def test_L15_a_take_that_was_given_up_holds_nothing_of_a_worker_that_died_meanwhile(world: World) -> None:
    slow = await world.worker()
    _, held = await in_hand(world)
    await world.after(11, slow)
    assert (await taken(slow, epoch=0)).grip is Grip.HELD
    assert [row.epoch for row in await slow.wake(10)] == [held.epoch + 1]
    assert (await taken(slow, epoch=0)).grip is Grip.STALE


async def test_L15_a_new_run_is_watched_like_the_first(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED)])
    await worker.emitted([("acme", "a", 1)])
    await world.after(60, worker)
    assert await worker.stray(10) == []
    await worker.claim([claim(offset=2, rerun=True)])
    await world.after(60, worker)
    assert [(row.id, row.run, row.call) for row in await worker.stray(10)] == [("a", 2, b"call a 2")]
