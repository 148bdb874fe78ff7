"""What every ledger does with a claim: rules L1 to L3, each test named by the one it proves."""

from domain.ledger.model import Claimed, Grip, Settled, Source, Standing, State
from tests.contract.ledgers import (
    NEWER_HASH,
    OTHER_HASH,
    World,
    claim,
    done,
    in_hand,
    park,
    settlement,
    taken,
)


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


async def test_L2_the_same_source_of_a_row_that_a_worker_has_had_is_left_to_wake(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.park([park("a", held.epoch, world.now(), done=done(1, "rate_limited"))])
    await world.after(1, worker)
    assert len(await worker.wake(1)) == 1
    assert await standing(world, claim()) == [Standing.SETTLED_ELSEWHERE]
    await taken(worker)
    await world.later(60)  # it dies
    assert len(await worker.stray(1)) == 1
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
