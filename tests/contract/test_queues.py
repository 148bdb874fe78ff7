"""What is unfinished is counted by lane and reason, for its tenant."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from connectors.memory.queues import MemoryQueues
from connectors.postgres.pool import connect
from connectors.postgres.queues import PostgresQueues
from domain.ports import Queues
from tests.contract.ledgers import World, claim, in_hand, in_postgres, park, settlement, taken


@pytest.fixture
async def queues(world: World, database: str | None) -> AsyncIterator[Queues]:
    if database is None:
        yield MemoryQueues(world.letters._store)  # type: ignore[attr-defined]  # the world's own store
        return
    pool = await connect(database, 1)
    yield PostgresQueues(pool)
    await pool.close()


async def test_a_look_counts_what_is_handed_on_running_and_waiting(world: World, queues: Queues) -> None:
    ledger = world.ledger()
    await ledger.claim([claim(id) for id in "abcd"])
    await in_hand(world, "running", lane="bulk")
    first, then = world.now() + timedelta(seconds=60), world.now() + timedelta(seconds=90)
    await ledger.park([park("a", 0, then, reason="rate_limit"), park("b", 0, first, reason="rate_limit")])
    await ledger.park([park("c", 0, then, reason="retry")])
    look = await queues.look("acme")
    standard, bulk = look.queues["standard"], look.queues["bulk"]
    assert look.complete
    assert list(look.queues) == ["interactive", "standard", "bulk"]
    assert (standard.accepted, standard.running, standard.waiting, standard.next_due) == (1, 0, 3, first)
    assert {reason: (waits.count, waits.next_due) for reason, waits in standard.waits.items()} == {
        "rate_limit": (2, first), "retry": (1, then),
    }  # fmt: skip
    assert (bulk.accepted, bulk.running, bulk.waiting, bulk.next_due) == (0, 1, 0, None)
    assert await queues.waiting() == {"rate_limit": 2, "retry": 1}


async def test_what_is_old_is_counted_like_what_is_young(world: World, queues: Queues) -> None:
    ledger = world.ledger()
    await ledger.claim([claim("old")])
    await world.later(40)
    await ledger.stray(10)  # the sweep has been over it: it looks at each request once
    await ledger.claim([claim("young", 2)])
    assert (await queues.look("acme")).queues["standard"].accepted == 2


async def test_tenants_are_walls_and_what_is_over_is_not_counted(world: World, queues: Queues) -> None:
    worker, answer = await in_hand(world, "over")
    await worker.settle([settlement("over", answer.epoch)])
    await worker.claim([claim("theirs", 2, tenant="globex")])
    look = await queues.look("acme")
    assert [(queue.accepted, queue.running, queue.waiting) for queue in look.queues.values()] == [(0, 0, 0)] * 3


async def test_a_look_after_anothers_lease_is_no_wait(world: World, queues: Queues) -> None:
    await in_hand(world, "held")
    other = await world.worker()
    await taken(other, "held")
    look = await queues.look("acme")
    assert (look.queues["standard"].running, look.queues["standard"].waiting) == (1, 0)


@pytest.mark.integration
async def test_a_look_at_a_long_queue_counts_to_its_bound_and_says_so(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.postgres.queues.MOST_LOOKED_AT", 3)
    monkeypatch.setattr("connectors.postgres.queues.MOST_WAITING", 2)
    async with in_postgres(database_url) as world:
        ledger = world.ledger()
        await ledger.claim([claim(f"r{n}", n) for n in range(8)])
        await ledger.park([park(f"r{n}", 0, world.now() + timedelta(hours=1)) for n in range(4)])
        pool = await connect(database_url, 1)
        look = await PostgresQueues(pool).look("acme")
        await pool.close()
        assert not look.complete
        assert look.queues["standard"].waiting == 2


@pytest.mark.integration
async def test_a_bound_that_was_reached_is_said_also_where_nothing_was_counted(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.postgres.queues.MOST_LOOKED_AT", 3)
    async with in_postgres(database_url) as world:
        ledger = world.ledger()
        await ledger.claim([claim(f"r{n}", n, tenant="globex") for n in range(8)])
        pool = await connect(database_url, 1)
        look = await PostgresQueues(pool).look("acme")
        await pool.close()
        assert not look.complete, "the young of others hid those of this tenant, if there are any"
