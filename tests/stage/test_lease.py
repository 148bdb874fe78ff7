"""A worker trusts its lease by its own clock, from before the renewal was sent (rule L6)."""

import asyncio

import pytest

from agents.lease import TRUSTED, LeaseKeeper
from connectors.memory.ledger import MemoryLedger
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.store import MemoryStore
from domain.errors import Unavailable
from tests.line.memory_line import START


class Away(MemoryLedger):
    """A ledger whose renewals take `seconds` of the worker's clock, or fail."""

    seconds = 0.0
    gone = False

    async def renew(self) -> None:
        Clock.now += self.seconds
        if self.gone:
            raise Unavailable("PostgreSQL is away")
        await super().renew()


class Clock:
    now = 0.0


@pytest.fixture
def keeper() -> LeaseKeeper:
    Clock.now = 0.0
    ledger = Away(MemoryStore(), lambda: START)
    return LeaseKeeper(ledger, "w1", "infer", MemoryMetrics(), lambda: Clock.now)


async def test_L6_a_lease_is_trusted_for_seven_seconds_and_not_longer(keeper: LeaseKeeper) -> None:
    await keeper.start()
    Clock.now = TRUSTED - 0.1
    assert keeper.fresh
    Clock.now = TRUSTED
    assert not keeper.fresh
    await keeper.stop()


async def test_L6_a_renewal_counts_from_before_it_was_sent(keeper: LeaseKeeper) -> None:
    await keeper.start()
    Clock.now = 3.0
    keeper._ledger.seconds = 5.0  # type: ignore[attr-defined]
    await keeper._send(keeper._ledger.renew)
    Clock.now = 3.0 + TRUSTED
    assert not keeper.fresh
    await keeper.stop()


async def test_L6_who_waits_for_the_lease_goes_on_after_the_next_renewal(keeper: LeaseKeeper) -> None:
    await keeper.start()
    Clock.now = 20.0
    waiting = asyncio.ensure_future(keeper.ready())
    await asyncio.sleep(0)
    assert not waiting.done()
    await keeper._send(keeper._ledger.renew)
    await asyncio.wait_for(waiting, 1)
    await keeper.stop()


async def test_L6_a_lease_that_is_given_back_is_neither_trusted_nor_renewed_again(keeper: LeaseKeeper) -> None:
    await keeper.start()
    await keeper.stop()
    assert keeper.given_back
    assert not keeper.fresh
    assert keeper._ledger._store.leases["w1"] <= START  # type: ignore[attr-defined]
    await keeper.stop()


async def test_L6_a_failed_renewal_extends_nothing(keeper: LeaseKeeper) -> None:
    await keeper.start()
    Clock.now = 6.0
    keeper._ledger.gone = True  # type: ignore[attr-defined]
    with pytest.raises(Unavailable):
        await keeper._send(keeper._ledger.renew)
    Clock.now = TRUSTED + 0.1
    assert not keeper.fresh
    await keeper.stop()
