"""What every ledger does with money: rule L12."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from domain.budgets.model import Beside, Bill, Budget, Over, Reserve, Standing
from domain.ledger.model import Aside, AttemptDone, Grip, Next, State, Take, Taken, still_running
from domain.ports import Ledger
from tests.contract.ledgers import World, claim, park, settlement

TEN = Decimal(10)
CENTS = Decimal("0.10")


async def budget(world: World, limit: Any = TEN, name: str = "all", **more: Any) -> int:
    """Its serial."""
    await world.budgets.put(Budget("acme", name, Decimal(limit), more.pop("period", "month"), **more))
    return next(one.serial for one in (await world.budgets.rules()).budgets if one.name == name)


async def paid(world: World, serials: Sequence[int], amount: Any, *ids: str) -> list[Take]:
    rules = (await world.budgets.rules()).version
    reserve = Reserve(Decimal(amount), tuple(serials))
    return [Take("acme", id, 1, "openai", "gpt", reserve=reserve, rules=rules) for id in ids]


async def grips(ledger: Ledger, takes: Sequence[Take]) -> list[Grip]:
    answers = await ledger.take(takes)
    return [answer.grip for answer in answers if isinstance(answer, Taken)]


async def claimed(world: World, *ids: str) -> Ledger:
    worker = await world.worker()
    await worker.claim([claim(id, n) for n, id in enumerate(ids)])
    return worker


async def standing(world: World, name: str = "all") -> Standing:
    return next(one for one in await world.budgets.standings("acme") if one.budget.name == name)


async def money(world: World, name: str = "all") -> tuple[Decimal, Decimal]:
    """Spent and held, after the roll-up."""
    await world.budgets.fold(100)
    one = await standing(world, name)
    return one.spent_usd, one.held_usd


def cost(amount: Any, attempt: int = 1, frees: bool = True, outcome: str = "ok") -> AttemptDone:
    return AttemptDone(attempt, outcome, Decimal(amount), 1, 1, b"usage", frees)


async def test_L12_money_is_held_with_the_attempt_and_spent_after_it(world: World) -> None:
    serial = await budget(world)
    worker = await claimed(world, "a")
    assert await grips(worker, await paid(world, [serial], "0.10", "a")) == [Grip.TAKEN]
    assert await money(world) == (0, CENTS)
    await worker.settle([settlement(epoch=1, done=cost("0.04"))])
    assert (await standing(world)).held_usd == CENTS  # settling touched no budget
    assert await money(world) == (Decimal("0.04"), 0)


async def test_L12_a_budget_worth_one_call_and_a_third_lets_exactly_one_of_fifty_through(world: World) -> None:
    serial = await budget(world, "0.133")
    ids = [f"r{n}" for n in range(50)]
    workers = [await world.worker() for _ in range(5)]
    await workers[0].claim([claim(id, n) for n, id in enumerate(ids)])
    takes = await paid(world, [serial], "0.10", *ids)
    met = await asyncio.gather(*(grips(worker, takes[n::5]) for n, worker in enumerate(workers)))
    found = [grip for one in met for grip in one]
    assert (found.count(Grip.TAKEN), found.count(Grip.OVER_BUDGET)) == (1, 49)
    assert await money(world) == (0, CENTS)


async def test_L12_a_refusal_says_which_budget_is_short_and_until_when(world: World) -> None:
    serial = await budget(world, "0.25", period="day")
    worker = await claimed(world, "a", "b", "c", "d")
    answers = await worker.take(await paid(world, [serial], "0.10", "a", "b", "c"))
    (over,) = [answer.over for answer in answers if isinstance(answer, Taken) and answer.over]
    assert (over.budget, over.limit_usd, over.left_usd, over.held, over.never) == (
        "all", Decimal("0.25"), Decimal("0.05"), True, False,
    )  # fmt: skip
    assert over.until == (await standing(world)).end
    (answer,) = await worker.take(await paid(world, [serial], "0.30", "d"))
    assert isinstance(answer, Taken)
    assert answer.over is not None
    assert (answer.over.never, answer.attempt) == (True, 0)


async def test_L12_a_small_call_fits_after_a_large_one_was_refused(world: World) -> None:
    serial = await budget(world, 1)
    worker = await claimed(world, "a", "b")
    (large,), (small,) = await paid(world, [serial], 2, "a"), await paid(world, [serial], 1, "b")
    assert await grips(worker, [large, small]) == [Grip.OVER_BUDGET, Grip.TAKEN]


async def test_L12_all_budgets_of_a_call_must_have_it_or_none_is_charged(world: World) -> None:
    wide, narrow = await budget(world), await budget(world, "0.05", "narrow", model="openai/*")
    worker = await claimed(world, "a")
    answers = await worker.take(await paid(world, [wide, narrow], "0.10", "a"))
    assert isinstance(answers[0], Taken)
    assert answers[0].over is not None
    assert answers[0].over.budget == "narrow"
    assert [await money(world, name) for name in ("all", "narrow")] == [(0, 0), (0, 0)]


async def test_L12_L14_those_who_ask_the_same_are_refused_together_or_wait_behind_one_that_is_paid(
    world: World,
) -> None:
    serial = await budget(world, "0.05")
    ids = [f"r{n}" for n in range(20)]
    worker = await claimed(world, *ids, "other")
    same = [replace(take, question=b"what?") for take in await paid(world, [serial], "0.10", *ids)]
    cheap = await paid(world, [serial], "0.01", "other")
    assert await grips(worker, [*same, *cheap]) == [Grip.OVER_BUDGET] * 20 + [Grip.TAKEN]
    await worker.park([park(id, 1, world.now(), reason="budget") for id in ids])
    await budget(world, "0.15")
    await worker.wake(20)
    same = [replace(take, question=b"what?") for take in await paid(world, [serial], "0.10", *ids)]
    met = await grips(worker, same)
    assert (met.count(Grip.TAKEN), met.count(Grip.BEHIND)) == (1, 19)
    assert await money(world) == (0, Decimal("0.11"))


async def test_L12_what_is_refused_is_in_hand_without_an_attempt_and_may_end_or_wait(world: World) -> None:
    serial = await budget(world, 0)
    worker = await claimed(world, "a", "b")
    assert await grips(worker, await paid(world, [serial], 1, "a", "b")) == [Grip.OVER_BUDGET] * 2
    ended = settlement("a", 1, state=State.REJECTED, done=None, error_code="budget_exceeded")
    assert [one.won for one in await worker.settle([ended])] == [True]  # type: ignore[union-attr]
    later = world.now() + timedelta(minutes=5)
    assert await worker.park([park("b", 1, later, reason="budget")]) == [True]
    assert await worker.wake(10) == []
    await budget(world, 5)  # raising it lets those who wait ask at once
    (woken,) = await worker.wake(10)
    (take,) = await paid(world, [serial], 1, "b")
    assert (woken.id, await grips(worker, [take])) == ("b", [Grip.TAKEN])
    record = await worker.find("acme", "b")
    assert record is not None
    assert [attempt.outcome for attempt in record.attempts] == ["started"]


async def test_L12_a_re_ask_reserves_for_itself(world: World) -> None:
    serial = await budget(world, "0.15")
    worker = await claimed(world, "a")
    await worker.take(await paid(world, [serial], "0.10", "a"))
    reserve = Reserve(CENTS, (serial,))
    again = Next("acme", "a", 1, 1, cost("0.04", outcome="invalid_output"), "openai", "gpt", reserve)
    (over,) = await worker.go_on([again])
    assert isinstance(over, Over)
    assert await money(world) == (0, CENTS)  # nothing was written
    await budget(world, "0.20")
    assert await worker.go_on([again]) == [2]
    assert await worker.go_on([again]) == [2]  # its answer was lost: nothing more is held
    assert await money(world) == (Decimal("0.04"), CENTS)
    await worker.settle([settlement(epoch=1, done=cost("0.06", 2))])
    assert await money(world) == (CENTS, 0)


async def test_L12_an_attempt_beside_another_reserves_for_itself_and_is_booked_on_its_own(world: World) -> None:
    serial = await budget(world, "0.15")
    worker = await claimed(world, "a")
    await worker.take(await paid(world, [serial], "0.10", "a"))
    beside = Next("acme", "a", 1, 1, still_running(1), "openai", "gpt", Reserve(CENTS, (serial,)))
    (over,) = await worker.go_on([beside])
    assert isinstance(over, Over)
    await budget(world, "0.20")
    assert await worker.go_on([beside]) == [2]
    assert await money(world) == (0, 2 * CENTS)
    await worker.aside([Aside("acme", "a", 1, cost("0.04"))])
    assert await money(world) == (Decimal("0.04"), CENTS)
    await worker.settle([settlement(epoch=1, done=cost("0.06", 2))])
    assert await money(world) == (CENTS, 0)


async def test_L12_a_lost_answer_holds_nothing_twice(world: World) -> None:
    serial = await budget(world)
    worker = await claimed(world, "a")
    takes = await paid(world, [serial], "0.10", "a")
    await worker.take(takes)
    worker._in_hand.clear()  # type: ignore[attr-defined]  # its answer never came
    (again,) = await worker.take(takes)
    assert isinstance(again, Taken)
    assert (again.grip, again.epoch, again.attempt) == (Grip.TAKEN, 1, 1)
    assert await money(world) == (0, CENTS)


async def test_L12_a_refusal_whose_answer_was_lost_stays_one(world: World) -> None:
    serial = await budget(world, 0)
    worker = await claimed(world, "a")
    takes = await paid(world, [serial], "0.10", "a")
    assert await grips(worker, takes) == [Grip.OVER_BUDGET]
    worker._in_hand.clear()  # type: ignore[attr-defined]
    assert await grips(worker, takes) == [Grip.OVER_BUDGET]
    record = await worker.find("acme", "a")
    assert record is not None
    assert record.attempts == ()


async def test_L12_settling_twice_books_once_however_late(world: World) -> None:
    serial = await budget(world)
    worker = await claimed(world, "a")
    await worker.take(await paid(world, [serial], "0.10", "a"))
    for _ in range(3):
        await worker.settle([settlement(epoch=1, done=cost("0.04"))])
        assert await money(world) == (Decimal("0.04"), 0)


async def test_L12_what_nobody_knows_the_cost_of_stays_held(world: World) -> None:
    """A worker that is killed between reserve and settle, and a call that timed out."""
    serial = await budget(world, "0.25")
    worker = await claimed(world, "a", "b")
    await worker.take(await paid(world, [serial], "0.10", "a", "b"))
    await worker.settle([settlement("b", 1, state=State.FAILED, done=cost(0, frees=False, outcome="timeout"))])
    await world.later(12)
    heir = await world.worker()
    assert await grips(heir, await paid(world, [serial], "0.10", "a")) == [Grip.OVER_BUDGET]
    assert await money(world) == (0, Decimal("0.20"))
    # the first worker was only slow: what it hears still takes the place of what it held
    await worker.settle([settlement("a", 1, done=cost("0.01"))])
    assert await money(world) == (Decimal("0.01"), CENTS)


async def test_L12_an_attempt_that_was_not_made_gives_its_money_back(world: World) -> None:
    serial = await budget(world)
    worker = await claimed(world, "a")
    await worker.take(await paid(world, [serial], "0.10", "a"))
    unsent = cost(0, outcome="error")
    await worker.park([park("a", 1, world.now() + timedelta(seconds=1), reason="lease", done=unsent)])
    assert await money(world) == (0, 0)


async def test_L12_a_take_that_knows_older_budgets_takes_nothing(world: World) -> None:
    worker = await claimed(world, "a")
    old = Take("acme", "a", 1, "openai", "gpt")
    serial = await budget(world, 0)
    assert await grips(worker, [old]) == [Grip.OUTDATED]
    assert await grips(worker, await paid(world, [serial], 1, "a")) == [Grip.OVER_BUDGET]
    await world.budgets.delete("acme", "all")
    await worker.settle([settlement(epoch=1, state=State.REJECTED, done=None)])
    await worker.claim([claim("b", 9)])
    assert await grips(worker, await paid(world, [serial], 1, "b")) == [Grip.TAKEN]  # of one that is gone


async def test_L12_a_budget_that_is_made_again_begins_at_nothing(world: World) -> None:
    serial = await budget(world)
    worker = await claimed(world, "a")
    await worker.take(await paid(world, [serial], 1, "a"))
    assert await world.budgets.delete("acme", "all")
    assert not await world.budgets.delete("acme", "all")
    assert await budget(world) != serial
    await worker.settle([settlement(epoch=1, done=cost(1))])
    assert await money(world) == (0, 0)


async def test_changing_a_budget_keeps_what_was_spent(world: World) -> None:
    serial = await budget(world)
    worker = await claimed(world, "a")
    await worker.take(await paid(world, [serial], 1, "a"))
    await worker.settle([settlement(epoch=1, done=cost(1))])
    assert not await world.budgets.put(Budget("acme", "all", Decimal(20), "month"))
    assert await money(world) == (1, 0)
    assert (await standing(world)).left_usd == 19


async def test_the_marks_of_a_budget_are_told_once_a_period(world: World) -> None:
    serial = await budget(world, 1)
    worker = await claimed(world, "a", "b", "c")
    for id, amount in (("a", "0.49"), ("b", "0.35")):
        await worker.take(await paid(world, [serial], amount, id))
        await worker.settle([settlement(id, 1, done=cost(amount))])
    assert (await money(world))[0] == Decimal("0.84")
    assert await grips(worker, await paid(world, [serial], "0.49", "c")) == [Grip.OVER_BUDGET]
    notices = await world.budgets.notices(10)
    assert sorted((one.mark, one.budget, one.spent_usd) for one in notices) == [
        (mark, "all", Decimal("0.84")) for mark in (50, 80, 100)
    ]
    assert await world.budgets.notices(10) == []  # somebody has them in hand
    await world.later(31)
    assert len(await world.budgets.notices(10)) == 3  # that one died
    await world.budgets.told(notices)
    await world.later(31)
    await money(world)
    assert await world.budgets.notices(10) == []


async def test_L12_a_refusal_is_told_also_where_nothing_was_ever_charged(world: World) -> None:
    serial = await budget(world, "0.05")
    worker = await claimed(world, "a")
    assert await grips(worker, await paid(world, [serial], "0.10", "a")) == [Grip.OVER_BUDGET]
    told = [(one.budget, one.mark, one.spent_usd, one.held_usd) for one in await world.budgets.notices(10)]
    assert told == [("all", 100, 0, 0)]


async def test_budgets_of_others_are_not_seen(world: World) -> None:
    await budget(world)
    await world.budgets.put(Budget("globex", "all", TEN, "hour"))
    assert [one.budget.tenant for one in await world.budgets.standings("acme")] == ["acme"]
    assert not await world.budgets.delete("initech", "all")
    assert len((await world.budgets.rules()).budgets) == 2


def beside(id: str, serial: int, amount: Any = "0.10", number: int = -1) -> Beside:
    return Beside("acme", id, 1, number, Reserve(Decimal(amount), (serial,)))


def bill(id: str, amount: Any, number: int = -1, frees: bool = True, record: bytes | None = b"usage") -> Bill:
    return Bill("acme", id, 1, number, Decimal(amount), frees, record, "00-trace")


async def test_L12_a_call_beside_the_attempts_is_held_and_booked_like_them(world: World) -> None:
    serial = await budget(world, "0.25")
    worker = await claimed(world, "a", "b", "c")
    assert await world.budgets.version() == (await world.budgets.rules()).version
    held, also, over = await world.budgets.hold([beside(id, serial) for id in ("a", "b", "c")])
    assert (held, also, over is not None and over.budget) == (None, None, "all")
    assert await world.budgets.hold([beside("a", serial)]) == [None], "a repetition holds nothing more"
    assert await money(world) == (0, 2 * CENTS)
    assert await grips(worker, await paid(world, [serial], "0.10", "c")) == [Grip.OVER_BUDGET]
    await world.budgets.book([bill("a", "0.04"), bill("b", 0, record=None)])
    assert await money(world) == (Decimal("0.04"), 0)
    assert await grips(worker, await paid(world, [serial], "0.10", "a")) == [Grip.TAKEN], "beside its attempts"
    assert await money(world) == (Decimal("0.04"), CENTS)


async def test_L12_of_many_calls_beside_attempts_at_once_a_budget_lets_through_what_it_has(world: World) -> None:
    serial = await budget(world, "0.35")
    ids = [f"r{n}" for n in range(20)]
    await claimed(world, *ids)
    answers = await asyncio.gather(*(world.budgets.hold([beside(id, serial)]) for id in ids))
    assert [answer for (answer,) in answers].count(None) == 3
    assert await money(world) == (0, 3 * CENTS)


async def test_a_usage_record_of_a_call_beside_attempts_is_kept_until_it_is_produced(world: World) -> None:
    await claimed(world, "a", "b")
    bills = [bill("a", "0.04", frees=False), bill("b", "0.04", -2, frees=False)]
    for _ in range(2):
        await world.budgets.book(bills)
    assert await world.budgets.unproduced(10) == []
    await world.budgets.produced(bills[:1])
    await world.later(31)
    (left,) = await world.budgets.unproduced(10)
    assert (left.id, left.number, left.record, left.traceparent) == ("b", -2, b"usage", "00-trace")
    assert await world.budgets.unproduced(10) == [], "somebody else produces it"
    await world.later(31)
    assert await world.budgets.unproduced(10) == [left]
    await world.budgets.produced([left])
    await world.later(31)
    assert await world.budgets.unproduced(10) == []
