"""What every ledger does at the end of a request and with any batch: rules L11 and L16."""

from dataclasses import replace

import pytest

from domain.errors import Permanent
from domain.ledger.model import Claimed, Grip, Settled, Standing, State, Taken
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
