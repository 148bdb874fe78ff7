"""What every Limiter does: GCRA over all limits of an event, in one answer a batch."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.memory.limiter import MemoryLimiter
from connectors.redis.client import RedisClient
from connectors.redis.limiter import BOOT_KEY, RedisLimiter
from domain.admission.gcra import interval
from domain.admission.model import Charge, Limit
from domain.errors import Unavailable
from domain.ports import Limiter

SLOW = Limit("acme", per_minute=60, burst=3)
KEY = Limit("acme/key/k1", per_minute=30, burst=1)


@dataclass(frozen=True)
class Store:
    """A limiter, a way to lose all its state, and a way to have had it up for long."""

    limiter: Limiter
    wipe: Callable[[], Awaitable[None]]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    if request.param == "memory":
        twin = MemoryLimiter(lambda: 1_000.0)

        async def forget() -> None:
            twin.wipe()

        yield Store(twin, forget)
        return
    client = RedisClient(request.getfixturevalue("redis_url"))
    await client.redis.set(BOOT_KEY, 1)

    async def flush() -> None:
        await client.redis.flushdb()

    yield Store(RedisLimiter(client), flush)
    await client.close()


async def admit(store: Store, batch: list[Charge]) -> list[float]:
    """The waits of a batch that meets no gate."""
    admissions = await store.limiter.admit(batch)
    assert all(admission.gate is None for admission in admissions)
    return [admission.wait for admission in admissions]


def near(*waits: float) -> object:
    # the real store's clock goes on between two calls
    return pytest.approx(list(waits), abs=0.2)


async def test_a_burst_passes_at_once_and_the_rest_is_spaced_by_the_rate(store: Store) -> None:
    waits = await admit(store, [Charge((SLOW,))] * 6)
    assert waits[:3] == [0, 0, 0]
    assert waits == near(0, 0, 0, 1, 2, 3)


async def test_a_wait_is_reserved_so_that_the_next_batch_comes_behind_it(store: Store) -> None:
    await admit(store, [Charge((SLOW,))] * 5)
    assert await admit(store, [Charge((SLOW,))] * 2) == near(3, 4)


async def test_a_rejected_event_spends_nothing(store: Store) -> None:
    waits = await admit(store, [Charge((SLOW,), reject=True)] * 5)
    assert waits == near(0, 0, 0, 1, 1)
    assert await admit(store, [Charge((SLOW,))]) == near(1)


async def test_an_event_passes_when_the_last_of_its_limits_passes(store: Store) -> None:
    assert await admit(store, [Charge((SLOW, KEY))] * 3) == near(0, 2, 4)


async def test_what_a_key_holds_back_counts_for_the_tenant_when_it_passes(store: Store) -> None:
    await admit(store, [Charge((SLOW, KEY))] * 4)  # at 0, 2, 4 and 6 s
    waits = await admit(store, [Charge((SLOW,))] * 2)
    # the tenant's burst of 3 lets two pass around the one reserved for 6 s, at its rate of one a second
    assert waits == near(5, 6)


async def test_a_rejection_by_one_limit_leaves_the_others_unspent(store: Store) -> None:
    assert await admit(store, [Charge((SLOW, KEY), reject=True)] * 4) == near(0, 2, 2, 2)
    assert await admit(store, [Charge((SLOW,))] * 2) == [0, 0]


async def test_answers_come_in_the_order_of_the_batch(store: Store) -> None:
    other = Charge((Limit("zeta", 60, 1),))
    mine, strict = Charge((SLOW,)), Charge((SLOW,), reject=True)
    waits = await admit(store, [mine, other, mine, strict, other, mine, other, mine, strict])
    assert [waits[place] for place in (1, 4, 6)] == near(0, 1, 2)
    assert [waits[place] for place in (0, 2, 3, 5, 7, 8)] == near(0, 0, 0, 1, 2, 3)


async def test_more_events_than_one_call_takes_are_one_line(store: Store) -> None:
    fast = Limit("acme", per_minute=600, burst=1)
    waits = await admit(store, [Charge((fast,))] * 2_500)
    assert waits[-1] == pytest.approx(249.9, abs=0.2)


async def test_peek_tells_the_wait_and_spends_nothing(store: Store) -> None:
    charge = Charge((SLOW, KEY))
    assert (await store.limiter.peek(charge)).admission.wait == 0
    assert (await store.limiter.peek(charge)).admission.wait == 0
    await admit(store, [charge] * 2)
    assert (await store.limiter.peek(charge)).admission.wait == pytest.approx(4, abs=0.2)


async def test_an_event_without_limits_passes(store: Store) -> None:
    assert await admit(store, [Charge(())]) == [0]
    assert await admit(store, []) == []


@pytest.mark.integration
async def test_D2_an_empty_redis_is_noticed_before_the_first_request_by_whoever_counts_places(redis_url: str) -> None:
    client = RedisClient(redis_url)
    await client.redis.flushdb()
    limiter = RedisLimiter(client)
    await limiter.free([])
    noticed = await client.redis.get(BOOT_KEY)
    await asyncio.sleep(0.01)
    await limiter.free([])
    await limiter.admit([Charge((SLOW,))])
    assert noticed is not None
    assert await client.redis.get(BOOT_KEY) == noticed
    await client.close()


async def test_D2_after_a_wipe_limits_start_without_burst(store: Store) -> None:
    await admit(store, [Charge((SLOW,))])
    await store.wipe()
    assert await admit(store, [Charge((SLOW,))] * 3) == near(0, 1, 2)


@pytest.mark.integration
async def test_no_window_is_overrun_by_several_clients_at_once(redis_url: str) -> None:
    tenant = Limit("acme", per_minute=60_000, burst=50)
    keys = [Limit(f"acme/key/{n}", per_minute=24_000, burst=20) for n in range(4)]
    clients = [RedisClient(redis_url, timeout_s=5) for _ in keys]
    await clients[0].redis.set(BOOT_KEY, 1)
    passed: dict[str, list[float]] = {limit.key: [] for limit in [tenant, *keys]}
    slowest = 0.0

    async def flood(client: RedisClient, key: Limit) -> None:
        nonlocal slowest
        limiter = RedisLimiter(client)
        for _ in range(20):
            began = time.monotonic()
            admissions = await limiter.admit([Charge((tenant, key))] * 25)
            slowest = max(slowest, time.monotonic() - began)
            for name in (tenant.key, key.key):
                passed[name] += [began + admission.wait for admission in admissions]

    await asyncio.gather(*map(flood, clients, keys))
    for client in clients:
        await client.close()
    for limit in [tenant, *keys]:
        assert_conforms(sorted(passed[limit.key]), limit, unsure=slowest)


def assert_conforms(times: list[float], limit: Limit, unsure: float = 0) -> None:
    """In every window the limit's rate and one burst at most; each time may be `unsure` seconds too early."""
    gap = interval(limit)
    # the window from event i to event j holds j - i + 1 events; the worst one is found in one pass
    lead = float("-inf")
    for place, at in enumerate(times):
        lead = max(lead, at - place * gap)
        behind = lead - (at - place * gap)
        assert behind <= (limit.burst - 1) * gap + unsure + 1e-3, f"{limit.key}: {behind / gap:.1f} events ahead"


limits = st.builds(
    Limit, key=st.sampled_from(["t", "t/key/a", "t/key/b"]), per_minute=st.integers(1, 6000), burst=st.integers(1, 20)
)


@given(
    st.lists(limits, min_size=1, max_size=3, unique_by=lambda limit: limit.key),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 7), st.booleans()), max_size=60),
)
def test_no_window_of_any_limit_is_overrun_whatever_comes(
    known: list[Limit], events: list[tuple[float, int, bool]]
) -> None:
    now = 0.0
    limiter = MemoryLimiter(lambda: now)
    passed: dict[str, list[float]] = {limit.key: [] for limit in known}
    for pause, chosen, reject in events:
        now += pause
        mine = tuple(limit for bit, limit in enumerate(known) if chosen >> bit & 1)
        (admission,) = asyncio.run(limiter.admit([Charge(mine, reject)]))
        if not (reject and admission.wait):
            for limit in mine:
                passed[limit.key].append(now + admission.wait)
    for limit in known:
        assert_conforms(sorted(passed[limit.key]), limit)


async def test_a_silent_redis_is_unavailable_within_the_time_out_and_costs_one_a_second() -> None:
    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(swallow, "127.0.0.1", 0)
    now = 100.0
    client = RedisClient(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", clock=lambda: now)
    limiter = RedisLimiter(client)

    async def refused() -> float:
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await limiter.admit([Charge((SLOW,))])
        return time.monotonic() - began

    # a busy machine may be late once, not every time
    tries = []
    for _ in range(3):
        tries.append((await refused(), await refused()))
        now += 1.1
    assert 0.2 < min(first for first, _ in tries) < 0.5
    assert min(second for _, second in tries) < 0.1
    await client.close()
    server.close()


@pytest.mark.integration
async def test_a_redis_that_is_back_is_used_again(redis_url: str) -> None:
    now = 100.0
    client = RedisClient(redis_url, clock=lambda: now)
    with pytest.raises(Unavailable):
        await client.run("wait", lambda: asyncio.sleep(5))
    with pytest.raises(Unavailable, match="not tried"):
        await client.ping()
    now += 1.1
    await client.ping()
    await client.ping()
    await client.close()
