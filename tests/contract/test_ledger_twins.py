"""The two ledgers answer the same to any sequence of verbs: what the memory one proves holds for PostgreSQL."""

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.budgets.model import Budget, Over, Reserve
from domain.errors import Permanent, Transient
from domain.ledger.model import Aside, Next, RequestRecord, State, Taken, Woken, still_running
from domain.ports import Ledger
from tests.contract.ledgers import OTHER_HASH, World, claim, done, in_memory, in_postgres, park, settlement, take

pytestmark = pytest.mark.integration

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
VERBS = (
    "claim", "rerun", "take", "take", "go_on", "beside", "aside", "settle", "settle", "fail", "park", "wake",
    "emitted", "later", "fold",
)  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One verb by one of two workers on one of two requests, with whatever it may get right or wrong."""

    verb: str
    worker: int
    id: str
    run: int
    epoch: int
    attempt: int
    seconds: int
    serial: int = 0

    @property
    def reserve(self) -> Reserve | None:
        """Two thirds of the attempts need money."""
        return Reserve(Decimal("0.10"), (self.serial,)) if self.epoch % 3 else None


STEPS = st.lists(
    st.builds(
        Step,
        verb=st.sampled_from(VERBS),
        worker=st.integers(0, 1),
        id=st.sampled_from("ab"),
        run=st.sampled_from((1, 1, 1, 2)),
        epoch=st.integers(0, 5),
        attempt=st.integers(1, 3),
        seconds=st.sampled_from((2, 7, 13)),
    ),
    max_size=25,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(steps=STEPS)
def test_both_ledgers_answer_the_same(database_url: str, steps: list[Step]) -> None:
    one, two = asyncio.run(play_both(database_url, steps))
    assert one == two


async def play_both(database_url: str, steps: list[Step]) -> tuple[list[Any], list[Any]]:
    async with in_memory() as one, in_postgres(database_url) as two:
        return await play(one, steps), await play(two, steps)


async def play(world: World, steps: list[Step]) -> list[Any]:
    team = [await world.worker(), await world.worker()]
    await world.budgets.put(Budget("acme", "all", Decimal("0.35"), "month"))
    (budget,) = (await world.budgets.rules()).budgets
    answers: list[Any] = []
    for step in steps:
        answers.append(without_periods(await act(world, team, replace(step, serial=budget.serial))))
        answers.append([without_times(await team[0].find("acme", id)) for id in "ab"])
        (standing,) = await world.budgets.standings("acme")
        answers.append((standing.spent_usd, standing.held_usd))
        assert standing.spent_usd + standing.held_usd <= budget.limit_usd
    return answers


async def act(world: World, team: list[Ledger], step: Step) -> Any:
    ledger = team[step.worker]
    try:
        if step.verb == "later":
            # the first worker renews while the time passes, the second one dies at 13 s
            return await world.after(step.seconds, team[0])
        if step.verb == "wake":
            return sorted(await ledger.wake(10), key=woken_id)
        return [
            type(answer).__mro__[-4] if isinstance(answer, Permanent) else answer
            for answer in await on_one(world, ledger, step)
        ]
    except Transient:
        return "no lease"


async def on_one(world: World, ledger: Ledger, step: Step) -> list[Any]:
    result, outcome = f"result {step.run} {step.epoch}".encode(), replace(done(step.attempt), frees=step.seconds > 2)
    end = settlement(step.id, step.epoch, run=step.run, result=result, done=outcome)
    soon = world.now() + timedelta(seconds=step.seconds - 4)
    if step.verb == "claim":
        body = {"body_hash": OTHER_HASH} if step.attempt == 3 else {}
        return list(await ledger.claim([claim(step.id, step.attempt, **body)]))
    if step.verb == "rerun":
        return list(await ledger.claim([claim(step.id, 10 + step.epoch, rerun=True)]))
    if step.verb == "take":
        epoch = None if step.attempt == 2 else step.epoch
        rules = 0 if step.epoch == 5 else (await world.budgets.rules()).version
        asked = take(step.id, step.run, calls=step.attempt < 3, epoch=epoch, reserve=step.reserve, rules=rules)
        return list(await ledger.take([asked]))
    if step.verb in ("go_on", "beside"):
        so_far = outcome if step.verb == "go_on" else still_running(step.attempt)
        following = Next("acme", step.id, step.run, step.epoch, so_far, "openai", "gpt", step.reserve)
        return list(await ledger.go_on([following]))
    if step.verb == "fold":
        await world.budgets.fold(100)
        return []
    if step.verb == "park":
        return list(await ledger.park([park(step.id, step.epoch, soon, run=step.run, done=outcome)]))
    if step.verb in ("emitted", "aside"):
        await ledger.aside([Aside("acme", step.id, step.run, outcome)] if step.verb == "aside" else [])
        return [await ledger.emitted([("acme", step.id, step.run)] if step.verb == "emitted" else [])]
    return list(await ledger.settle([end if step.verb == "settle" else replace(end, state=State.FAILED)]))


def without_periods(answers: Any) -> Any:
    """Two databases have two clocks: not even a month need be the same."""
    if not isinstance(answers, list):
        return answers
    return [
        replace(one, until=NOON) if isinstance(one, Over)
        else replace(one, over=replace(one.over, until=NOON)) if isinstance(one, Taken) and one.over
        else one
        for one in answers
    ]  # fmt: skip


def woken_id(row: Woken) -> str:
    return row.id


def without_times(record: RequestRecord | None) -> Any:
    """What must be equal: everything but the moments, of which it must be equal that they are there."""
    if record is None:
        return None
    attempts = tuple(
        replace(attempt, started_at=NOON, finished_at=attempt.finished_at and NOON) for attempt in record.attempts
    )
    return replace(
        record,
        created_at=NOON,
        updated_at=NOON,
        not_before=record.not_before and NOON,
        lease_until=record.lease_until and NOON,
        emitted_at=record.emitted_at and NOON,
        worker=record.worker and record.worker[:8],
        attempts=attempts,
    )
