"""A budget under a hundred workers on a real PostgreSQL (rule L12)."""

import asyncio
import random
from dataclasses import dataclass, field
from decimal import Decimal

import pytest

from connectors.postgres.budgets import PostgresBudgets
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import Pool, connect
from domain.budgets.model import Budget, Reserve
from domain.ledger.model import AttemptDone, Grip, Take, Taken
from tests.contract.ledgers import World, claim, in_postgres, park, settlement

pytestmark = pytest.mark.integration

WORKERS, POOLS, EACH = 100, 10, 2
CAP, WORST = Decimal(10), Decimal("0.13")
KILLED = 10
"""Workers that die between reserve and settle, once."""


async def test_L12_a_hundred_workers_spend_no_more_than_ten_dollars(database_url: str) -> None:
    async with in_postgres(database_url) as world:
        await world.budgets.put(Budget("acme", "all", CAP, "month"))
        pools = [await connect(database_url, 2, timeout=30) for _ in range(POOLS)]
        booking = asyncio.ensure_future(_book(pools[0]))
        try:
            spent = await asyncio.gather(*(_work(world, pools[n % POOLS], n) for n in range(WORKERS)))
        finally:
            booking.cancel()
            await asyncio.gather(booking, return_exceptions=True)
        while await world.budgets.fold(1_000):
            pass
        (standing,) = await world.budgets.standings("acme")
        for pool in pools:
            await pool.close()
    booked = sum(sum(one.costs) for one in spent)
    refused, killed = sum(one.refused for one in spent), sum(one.killed for one in spent)
    assert standing.spent_usd == booked <= CAP
    assert standing.held_usd == killed * WORST  # calls that nobody heard of
    assert killed > 0
    assert refused > 0
    assert standing.left_usd < WORST  # and not much of it is left


@dataclass
class Done:
    """What a worker's calls cost, how many were refused, and how many were never heard of."""

    costs: list[Decimal] = field(default_factory=list)
    refused: int = 0
    killed: int = 0


async def _work(world: World, pool: Pool, number: int) -> Done:
    ledger, chance = PostgresLedger(pool), random.Random(number)
    await ledger.register(f"worker-{number}", "infer")
    rules = await PostgresBudgets(pool).rules()
    reserve = Reserve(WORST, (rules.budgets[0].serial,))
    result = Done()
    for n in range(EACH):
        id = f"{number}-{n}"
        await ledger.claim([claim(id, number * EACH + n)])
        taken = await _taken(world, ledger, Take("acme", id, 1, "openai", "gpt", reserve=reserve, rules=rules.version))
        if taken.grip is Grip.OVER_BUDGET:
            result.refused += 1
            continue
        assert taken.grip is Grip.TAKEN
        if n == 0 and number < KILLED:
            result.killed += 1
            continue  # its call is never heard of
        cost = WORST * chance.randint(50, 100) / 100
        done = AttemptDone(1, "ok", cost, 1, 1, b"usage", frees=True)
        await ledger.settle([settlement(id, taken.epoch, done=done)])
        result.costs.append(cost)
    return result


async def _taken(world: World, ledger: PostgresLedger, take: Take) -> Taken:
    """Asks again where what is held is in the way, as a request that waits does."""
    for _ in range(8):
        await ledger.renew()
        (taken,) = await ledger.take([take])
        assert isinstance(taken, Taken)
        if taken.over is None or not taken.over.held:
            return taken
        await ledger.park([park(take.id, taken.epoch, world.now(), reason="budget")])
        await asyncio.sleep(0.1)
        await world.ledger().wake(1_000)
    return taken


async def _book(pool: Pool) -> None:
    """The roll-up, beside them."""
    while True:
        await PostgresBudgets(pool).fold(1_000)
        await asyncio.sleep(0.02)
