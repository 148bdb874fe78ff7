"""What every Pacer does: learns a deployment's limit, and hands its calls out to the fleet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from connectors.memory.pacer import MemoryPacer
from connectors.redis.client import RedisClient
from connectors.redis.pacer import RedisPacer
from domain.pacing.model import Ask, Grant, Heard, Mode
from domain.pacing.told import Gauge, Told
from domain.ports import Pacer

CALL = "simulated/small"
OK = Heard()
TWENTY = Heard(told=Told(Gauge(20, 20, 20.0)))
REFUSED = Heard(limited=True, calls_a_second=20.0)


@dataclass(frozen=True)
class Fleet:
    """A pacer that every worker shares, time that passes, and a way to lose all state."""

    pacer: Pacer
    wait: Callable[[float], Awaitable[None]]
    wipe: Callable[[], Awaitable[None]]

    async def ask(
        self, *heard: Heard, interactive: int = 0, standard: int = 0, bulk: int = 0, worker: str = "w1", tokens: int = 1
    ) -> Grant:
        wanted = ((tokens,) * interactive, (tokens,) * standard, (tokens,) * bulk)
        (grant,) = await self.pacer.pace([Ask(CALL, worker, wanted, heard)])
        return grant


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def fleet(request: pytest.FixtureRequest) -> AsyncIterator[Fleet]:
    if request.param == "memory":
        now = [1_000.0]
        twin = MemoryPacer(lambda: now[0])

        async def turn(seconds: float) -> None:
            now[0] += seconds

        async def forget() -> None:
            twin.wipe()

        yield Fleet(twin, turn, forget)
        return
    client = RedisClient(request.getfixturevalue("redis_url"), timeout_s=5)

    async def flush() -> None:
        await client.redis.flushdb()

    yield Fleet(RedisPacer(client), asyncio.sleep, flush)
    await client.close()


async def test_D2_an_unknown_deployment_starts_with_one_call_of_the_whole_fleet(fleet: Fleet) -> None:
    first = await fleet.ask(standard=50)
    assert (first.mode, first.calls) == (Mode.UNKNOWN, (0, 1, 0))
    assert (await fleet.ask(standard=50, worker="w2")).calls == (0, 0, 0)
    assert (await fleet.ask(standard=49)).calls == (0, 0, 0)


async def test_a_probe_that_is_slow_does_not_hold_the_fleet_back_for_long(fleet: Fleet) -> None:
    assert (await fleet.ask(standard=50)).calls == (0, 1, 0)
    await fleet.wait(1.05)
    assert (await fleet.ask(standard=49)).calls == (0, 1, 0)


async def test_a_deployment_that_names_no_limit_gets_few_calls_at_first_and_is_open_soon(fleet: Fleet) -> None:
    await fleet.ask(standard=3)
    grant = await fleet.ask(OK, standard=300)
    assert (grant.mode, grant.calls, grant.rate) == (Mode.FELT, (0, 3, 0), 0)
    gone = 3
    for _ in range(40):
        await fleet.wait(0.05)
        grant = await fleet.ask(standard=300 - gone)
        gone += sum(grant.calls)
        if grant.mode is Mode.OPEN:
            break
    assert (grant.mode, gone) == (Mode.OPEN, 300)
    (grant,) = await fleet.pacer.pace([Ask(CALL, "w1", went=300)])
    assert grant.mode is Mode.OPEN
    await fleet.wait(3.5)
    assert (await fleet.ask(standard=300)).calls == (0, 3, 0)


async def test_a_pace_that_is_not_used_does_not_rise(fleet: Fleet) -> None:
    await fleet.ask(OK)
    for _ in range(20):
        await fleet.wait(0.1)
        assert sum((await fleet.ask(standard=2)).calls) == 2
    await fleet.wait(0.2)
    assert (await fleet.ask(standard=300)).calls == (0, 3, 0)


async def test_D2_a_worker_that_made_many_calls_opens_what_was_forgotten(fleet: Fleet) -> None:
    grant = await fleet.ask(Heard(calls_a_second=700.0), standard=500)
    assert (grant.mode, grant.calls) == (Mode.OPEN, (0, 500, 0))


async def test_the_first_refusal_halves_what_the_whole_fleet_reached(fleet: Fleet) -> None:
    await fleet.ask(Heard(calls_a_second=50.0))
    gone = 0
    for number in range(10):
        gone += sum((await fleet.ask(standard=50, worker=f"w{number % 3}")).calls)
        await fleet.wait(0.02)
    grant = await fleet.ask(Heard(limited=True), standard=50)
    assert grant.mode is Mode.FELT
    assert grant.rate == pytest.approx(gone / 2, rel=0.3)
    assert grant.calls == (0, 0, 0)


async def test_a_limit_that_is_told_is_kept_by_the_whole_fleet(fleet: Fleet) -> None:
    await fleet.ask(standard=1)
    first = await fleet.ask(TWENTY, standard=15)
    second = await fleet.ask(standard=15, worker="w2")
    # two of the twenty stay in the bucket: calls do not arrive exactly when they are sent
    assert (first.mode, first.calls, second.calls) == (Mode.TOLD, (0, 15, 0), (0, 3, 0))
    assert 0 < second.again <= 0.06
    assert (second.queue, second.rate) == (12, 20)
    await fleet.wait(0.25)
    assert sum((await fleet.ask(standard=12, worker="w2")).calls) in (5, 6, 7)


async def test_a_lower_limit_holds_from_the_answer_that_tells_it(fleet: Fleet) -> None:
    await fleet.ask(TWENTY, standard=1)
    grant = await fleet.ask(Heard(told=Told(Gauge(10, 4, 10.0))), standard=15)
    assert (grant.calls, grant.rate) == ((0, 3, 0), 10)


async def test_what_others_use_of_the_same_key_is_seen_in_what_remains(fleet: Fleet) -> None:
    await fleet.ask(TWENTY, standard=1)
    grant = await fleet.ask(Heard(told=Told(Gauge(20, 3, 20.0)), latency=0.1), standard=15)
    assert grant.calls == (0, 3, 0)


async def test_retry_after_holds_for_the_whole_fleet(fleet: Fleet) -> None:
    await fleet.ask(TWENTY, standard=1)
    await fleet.ask(Heard(limited=True, told=Told(Gauge(20, 0, 20.0)), retry_after=0.3))
    grant = await fleet.ask(standard=5, worker="w2")
    assert (grant.calls, grant.again) == ((0, 0, 0), pytest.approx(0.3, abs=0.1))
    await fleet.wait(0.35)
    assert sum((await fleet.ask(standard=5, worker="w2")).calls) >= 4


async def test_without_headers_refused_calls_halve_the_pace_once_at_a_time(fleet: Fleet) -> None:
    await fleet.ask(standard=1)
    await fleet.ask(OK, standard=10)
    grant = await fleet.ask(REFUSED, REFUSED, REFUSED, standard=5)
    assert (grant.mode, grant.rate) == (Mode.FELT, 10)
    await fleet.wait(1.05)
    again = await fleet.ask(REFUSED, standard=5)
    assert again.rate == pytest.approx(6.9, abs=0.4)


async def test_a_pace_that_was_halved_grows_while_it_is_used(fleet: Fleet) -> None:
    await fleet.ask(REFUSED, standard=1)
    rates = []
    for _ in range(4):
        await fleet.wait(0.25)
        rates.append((await fleet.ask(standard=1)).rate)
    assert rates == sorted(rates)
    assert 13 < rates[-1] < 15


async def test_a_limit_that_is_not_told_any_more_is_outgrown(fleet: Fleet) -> None:
    await fleet.ask(Heard(told=Told(Gauge(1, 1, 1.0))), standard=1)
    assert (await fleet.ask(OK, standard=1)).mode is Mode.FELT
    gone = 0
    for _ in range(10):
        await fleet.wait(0.1)
        gone += sum((await fleet.ask(standard=1)).calls)
    assert gone >= 2


async def test_tokens_are_a_bucket_of_their_own(fleet: Fleet) -> None:
    await fleet.ask(Heard(told=Told(tokens=Gauge(1000, 1000, 1000.0))), standard=1, tokens=100)
    grant = await fleet.ask(standard=20, tokens=200)
    assert grant.calls == (0, 4, 0)
    assert grant.again == pytest.approx(0.1, abs=0.05)


async def test_a_call_larger_than_the_bucket_goes_when_it_is_full(fleet: Fleet) -> None:
    full = Heard(told=Told(tokens=Gauge(100, 100, 100.0)))
    assert (await fleet.ask(full, standard=1, tokens=5_000)).calls == (0, 1, 0)
    assert (await fleet.ask(standard=1, tokens=5_000)).calls == (0, 0, 0)


async def test_lanes_are_served_by_weight_interactive_first(fleet: Fleet) -> None:
    await fleet.ask(Heard(told=Told(Gauge(44, 44, 1.0))))
    grant = await fleet.ask(interactive=100, standard=100, bulk=100)
    assert grant.calls == (32, 8, 2)


async def test_bulk_does_not_take_what_an_interactive_call_of_another_worker_waits_for(fleet: Fleet) -> None:
    await fleet.ask(Heard(told=Told(Gauge(10, 1, 4.0))))
    assert (await fleet.ask(interactive=1)).calls == (0, 0, 0)
    await fleet.wait(0.3)
    assert (await fleet.ask(bulk=5, worker="w2")).calls == (0, 0, 0)
    assert (await fleet.ask(interactive=1)).calls == (1, 0, 0)


async def test_what_a_silent_worker_waited_for_is_forgotten(fleet: Fleet) -> None:
    await fleet.ask(Heard(told=Told(Gauge(10, 1, 4.0))))
    await fleet.ask(interactive=5)
    await fleet.wait(1.1)
    assert (await fleet.ask(bulk=5, worker="w2")).calls[2] >= 4


async def test_D2_after_a_wipe_a_deployment_starts_with_one_call_again(fleet: Fleet) -> None:
    await fleet.ask(TWENTY, standard=1)
    await fleet.wipe()
    assert (await fleet.ask()).mode is Mode.UNKNOWN
    assert (await fleet.ask(standard=15)).calls == (0, 1, 0)


async def test_several_deployments_go_in_one_batch(fleet: Fleet) -> None:
    grants = await fleet.pacer.pace([Ask(name, "w1", ((), (1, 1), ())) for name in ("a/b", "c/d")])
    assert [grant.calls for grant in grants] == [(0, 1, 0), (0, 1, 0)]
    assert await fleet.pacer.pace([]) == []


async def test_those_that_wait_elsewhere_come_back_as_fast_as_they_may_go(fleet: Fleet) -> None:
    await fleet.ask(TWENTY, standard=1)
    waits = [(await fleet.pacer.pace([Ask(CALL, worker, away=40)]))[0].back for worker in ("w1", "w2", "w3")]
    assert waits == pytest.approx([2.5, 4.5, 6.5], abs=0.2)
