"""Requests that ask the same at the same time (rule L14), over every ledger."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import orjson

from domain.ledger.model import Cancel, Claim, Grip, Settled, Settlement, State, Take, Taken
from domain.ledger.results import Ending, Spent, finish
from domain.ports import Ledger
from tests.contract.ledgers import World, claim, done, park, settlement, taken
from topics.call import PromptCall
from topics.result import PromptResult

QUESTION, OTHER = b"q" * 32, b"o" * 32


def call(id: str, tenant: str = "acme", **more: Any) -> PromptCall:
    at = "2026-01-01T00:00:00.000Z"
    messages = more.pop("messages", [{"role": "user", "content": "?"}])
    return PromptCall(tenant, id, "standard", "fast", messages, "sha256:1", at, **more)


def asks(id: str, offset: int = 1, tenant: str = "acme", **more: Any) -> Claim:
    return claim(id, offset, call=call(id, tenant, tags={"of": id}).encode(), tenant=tenant, **more)


def take(id: str, question: bytes | None = QUESTION, tenant: str = "acme", **more: Any) -> Take:
    return Take(tenant, id, 1, "openai", "gpt", question=question, **more)


async def taken_all(ledger: Ledger, *takes: Take) -> list[Taken]:
    answers = await ledger.take(takes)
    assert all(isinstance(answer, Taken) for answer in answers)
    return answers  # type: ignore[return-value]


async def claimed(world: World, *ids: str, **more: Any) -> tuple[Ledger, Ledger]:
    """Two workers and requests that ask the same, none of them taken."""
    one, two = await world.worker(), await world.worker()
    await one.claim([asks(id, offset, **more) for offset, id in enumerate(ids, 1)])
    return one, two


def answer_of(id: str, epoch: int, attempt: int = 1, tenant: str = "acme") -> Settlement:
    """How the holder ends well."""
    now = datetime.now(UTC)
    ending = Ending(State.COMPLETED, {"label": "good"}, provider="openai", model="gpt")
    _, result = finish(call(id, tenant), 1, ending, Spent(attempts=attempt), now)
    return settlement(id, epoch, result=result, done=done(attempt), tenant=tenant)


def failure_of(id: str, epoch: int) -> Settlement:
    more = {"error_code": "provider_error", "done": done(outcome="error")}
    return settlement(id, epoch, state=State.FAILED, result=b"{}", **more)


async def states(ledger: Ledger, *ids: str) -> list[str]:
    found = [await ledger.find("acme", id) for id in ids]
    return [str(record.state) for record in found if record is not None]


async def test_L14_the_first_of_a_batch_asks_and_the_others_wait_behind_it(world: World) -> None:
    one, _ = await claimed(world, "a", "b", "c")
    answers = await taken_all(one, take("c"), take("a"), take("b"))
    assert sorted(answer.grip for answer in answers) == [Grip.BEHIND, Grip.BEHIND, Grip.TAKEN]
    assert await one.next_due() is not None
    record = await one.find("acme", "c" if answers[0].grip is Grip.BEHIND else "b")
    assert record is not None
    assert (record.state, record.reason, record.worker, record.attempts) == (State.WAITING, "coalesced", None, ())


async def test_L14_the_holders_settle_finishes_its_followers_with_their_own_results(world: World) -> None:
    one, two = await claimed(world, "a", "b", "c", "d")
    (held,) = await taken_all(one, take("a"))
    behind = await taken_all(two, take("b"), take("c"), take("d", OTHER))
    assert [answer.grip for answer in behind] == [Grip.BEHIND, Grip.BEHIND, Grip.TAKEN]
    (answer,) = await one.settle([answer_of("a", held.epoch)])
    assert isinstance(answer, Settled)
    assert (answer.won, answer.usage) == (True, (b"usage 1 ok",))
    assert sorted(row.id for row in answer.followers) == ["b", "c"]
    for row in answer.followers:
        result = PromptResult.model_validate(orjson.loads(row.result))
        assert (result.id, result.tags, result.cached) == (row.id, {"of": row.id}, "coalesced")
        assert result.output == {"label": "good"}
        assert (result.usage.attempts, result.usage.cost_usd, result.usage.input_tokens) == (0, 0, 0)
        record = await two.find("acme", row.id)
        assert record is not None
        assert (record.state, record.result, record.attempts) == (State.COMPLETED, row.result, ())
    assert await states(one, "a", "b", "c", "d") == ["completed"] * 3 + ["dispatched"]
    # the delivery of a follower that comes again is over; wake has nothing to bring back
    assert [a.grip for a in await taken_all(two, take("b"))] == [Grip.UNEMITTED]
    await world.after(60, one, two)
    assert await one.wake(10) == []


async def test_L14_a_settle_that_is_repeated_wins_again_and_its_followers_are_found_by_the_sweep(world: World) -> None:
    one, two = await claimed(world, "a", "b")
    (held,) = await taken_all(one, take("a"))
    await taken_all(two, take("b"))
    end = answer_of("a", held.epoch)
    await one.settle([end])
    assert await one.settle([end]) == [Settled(True, (b"usage 1 ok",))]
    await world.after(45, one, two)
    assert sorted(row.id for row in await one.unemitted(10)) == ["a", "b"]


async def test_L14_never_across_tenants_nor_questions_nor_without_one(world: World) -> None:
    one, two = await world.worker(), await world.worker()
    await one.claim([asks("a", 1), asks("b", 2), asks("c", 3), asks("a", 4, "globex")])
    takes = [take("a"), take("b", OTHER), take("c", None), take("a", tenant="globex")]
    answers = await taken_all(one, *takes[:2]) + await taken_all(two, *takes[2:])
    assert [answer.grip for answer in answers] == [Grip.TAKEN] * 4
    await two.settle([answer_of("a", answers[3].epoch, tenant="globex")])
    assert await states(one, "a", "b", "c") == ["dispatched"] * 3


async def test_L14_a_holder_that_fails_promotes_one_follower_and_the_others_wait_behind_that_one(world: World) -> None:
    one, two = await claimed(world, "a", "b", "c", "d")
    (held,) = await taken_all(one, take("a"))
    await taken_all(two, take("b"), take("c"), take("d"))
    (answer,) = await one.settle([failure_of("a", held.epoch)])
    assert isinstance(answer, Settled)
    assert (answer.won, answer.followers) == (True, ())
    (woken,) = await two.wake(10)
    (heir,) = await taken_all(two, take(woken.id, epoch=woken.epoch))
    assert (heir.grip, heir.attempt) == (Grip.TAKEN, 1)
    assert await two.wake(10) == []
    (answer,) = await two.settle([answer_of(woken.id, heir.epoch)])
    assert isinstance(answer, Settled)
    assert sorted([woken.id, *(row.id for row in answer.followers)]) == ["b", "c", "d"]


async def test_L14_a_holder_that_dies_is_taken_over_and_asks_again_while_the_others_wait(world: World) -> None:
    one, two = await claimed(world, "a", "b")
    await taken_all(one, take("a"))
    await taken_all(two, take("b"))
    await world.after(20, two)
    assert await two.wake(10) == []  # it looked, and the holder is not over
    await world.after(20, two)
    (stray,) = await two.stray(10)
    (again,) = await taken_all(two, take("a", epoch=stray.epoch))
    assert (stray.id, again.grip, again.attempt) == ("a", Grip.TAKEN, 2)
    (answer,) = await two.settle([answer_of("a", again.epoch, 2)])
    assert isinstance(answer, Settled)
    assert [row.id for row in answer.followers] == ["b"]


async def test_L14_who_comes_a_moment_late_is_given_the_answer_and_who_comes_later_asks(world: World) -> None:
    one, two = await claimed(world, "a", "b")
    (held,) = await taken_all(one, take("a"))
    end = answer_of("a", held.epoch)
    await one.settle([end])
    (late,) = await taken_all(two, take("b"))
    assert (late.grip, late.epoch, late.result) == (Grip.ANSWERED, 0, end.result)
    await world.after(3, one, two)
    await two.claim([asks("c", 3), asks("d", 4)])
    answers = await taken_all(two, take("c"), take("d"))
    assert sorted(answer.grip for answer in answers) == [Grip.BEHIND, Grip.TAKEN]


async def test_L14_a_holder_that_waits_to_be_tried_again_keeps_its_question(world: World) -> None:
    one, two = await claimed(world, "a", "b", "c")
    (held,) = await taken_all(one, take("a"))
    await taken_all(two, take("b"))
    await one.park([park("a", held.epoch, world.now(), done=done(outcome="timeout"))])
    assert [answer.grip for answer in await taken_all(two, take("c"))] == [Grip.BEHIND]
    (woken,) = await one.wake(10)
    (again,) = await taken_all(one, take("a", epoch=woken.epoch))
    assert (woken.id, again.grip, again.attempt) == ("a", Grip.TAKEN, 2)
    (answer,) = await one.settle([answer_of("a", again.epoch, 2)])
    assert isinstance(answer, Settled)
    assert sorted(row.id for row in answer.followers) == ["b", "c"]


async def test_L14_a_follower_ends_by_its_own_cancel_or_deadline_and_not_twice(world: World) -> None:
    one, two = await claimed(world, "a", "b")
    await one.claim([asks("c", 3, deadline=world.now())])
    (held,) = await taken_all(one, take("a"))
    await taken_all(two, take("b"), take("c"))
    await two.cancel([Cancel("acme", "b")])
    cancelled, overdue = (await two.cancelled(10)), (await two.overdue(10))
    assert [[row.id for row in rows] for rows in (cancelled, overdue)] == [["b"], ["c"]]
    for row, code in ((cancelled[0], "cancelled"), (overdue[0], "deadline_exceeded")):
        end = settlement(row.id, row.epoch, state=State.REJECTED, result=b"{}", error_code=code, done=None)
        assert await two.settle([end]) == [Settled(True)]
    (answer,) = await one.settle([answer_of("a", held.epoch)])
    assert answer == Settled(True, (b"usage 1 ok",))
    assert await states(one, "a", "b", "c") == ["completed", "rejected", "rejected"]


async def test_L14_a_holder_that_is_cancelled_leaves_its_question_to_a_follower(world: World) -> None:
    one, two = await claimed(world, "a", "b")
    (held,) = await taken_all(one, take("a"))
    await taken_all(two, take("b"))
    await one.settle([settlement("a", held.epoch, state=State.FAILED, result=b"{}", error_code="cancelled")])
    (woken,) = await two.wake(10)
    assert woken.id == "b"
    assert (await taken_all(two, take("b", epoch=woken.epoch)))[0].grip is Grip.TAKEN


async def test_L14_a_fenced_settle_finishes_no_follower(world: World) -> None:
    one, two = await claimed(world, "a", "b")
    (held,) = await taken_all(one, take("a"))
    await taken_all(two, take("b"))
    await world.after(11, two)
    (second,) = await taken_all(two, take("a"))
    assert await one.settle([answer_of("a", held.epoch)]) == [Settled(False)]
    assert await states(two, "a", "b") == ["dispatched", "waiting"]
    (answer,) = await two.settle([answer_of("a", second.epoch, 2)])
    assert isinstance(answer, Settled)
    assert [row.id for row in answer.followers] == ["b"]


async def test_L14_what_was_called_for_itself_never_waits_behind_another(world: World) -> None:
    one, two = await claimed(world, "a", "b")
    (held,) = await taken_all(one, take("a", None))
    (other,) = await taken_all(two, take("b"))
    assert other.grip is Grip.TAKEN
    await one.park([park("a", held.epoch, world.now(), done=done(outcome="timeout"))])
    (woken,) = await one.wake(10)
    assert (await taken(one, "a", epoch=woken.epoch, question=QUESTION)).grip is Grip.TAKEN


async def test_L14_two_hundred_over_four_workers_have_one_holder(world: World) -> None:
    workers = [await world.worker() for _ in range(4)]
    ids = [f"r{n:03}" for n in range(200)]
    await workers[0].claim([asks(id, n) for n, id in enumerate(ids)])
    takes = [[take(id) for id in ids[n::4]] for n in range(4)]
    answers = await asyncio.gather(*(taken_all(worker, *mine) for worker, mine in zip(workers, takes, strict=True)))
    grips = [answer.grip for mine in answers for answer in mine]
    assert (grips.count(Grip.TAKEN), grips.count(Grip.BEHIND)) == (1, 199)
    owner = next(n for n, mine in enumerate(answers) if any(answer.grip is Grip.TAKEN for answer in mine))
    place = next(n for n, answer in enumerate(answers[owner]) if answer.grip is Grip.TAKEN)
    end = answer_of(takes[owner][place].id, answers[owner][place].epoch)
    (answer,) = await workers[owner].settle([end])
    assert isinstance(answer, Settled)
    assert len(answer.followers) == 199
