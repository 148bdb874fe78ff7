"""What every Limiter does about calls in flight and about tokens."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

from connectors.memory.limiter import MemoryLimiter
from connectors.redis.client import RedisClient
from connectors.redis.limiter import BOOT_KEY, FLYING_KEY, RedisLimiter
from domain.admission.model import PASSES, Charge, Departure, Flight, Gate, Limit, gate_keys
from domain.ports import Limiter

TOKENS = Limit("acme/tokens", per_minute=6_000, burst=1_000, unit="tokens")


@dataclass
class Known:
    """The ledger, as far as a limiter asks it."""

    flights: list[Flight] = field(default_factory=list)
    asked: int = 0

    async def in_flight(self, limit: int) -> list[Flight]:
        self.asked += 1
        return self.flights[:limit]

    async def ended(self, flights: Sequence[Flight]) -> list[Flight]:
        return [flight for flight in flights if flight not in self.flights]


@dataclass
class Place:
    """A limiter over a store that a test can wipe and age."""

    limiter: Limiter
    ledger: Known
    wipe: Callable[[], Awaitable[None]]

    async def enter(self, *flights: Flight, reject: bool = False, **places: int) -> list[str]:
        """Who passes ("in"), waits at a gate (its key) or is rejected there ("no" and its key)."""
        answers = await self.limiter.admit(
            [Charge((), reject, 0, gates(flight, **places), flight) for flight in flights]
        )
        return [
            "in" if answer is PASSES else f"{'no ' * (reject and one.rejects)}{one.key}"
            for answer in answers
            for one in [answer.gate or Gate("", 0)]
        ]


def gates(
    flight: Flight, lane: int | None = None, tenant: int | None = None, key: int | None = None
) -> tuple[Gate, ...]:
    names = gate_keys(flight.tenant, flight.lane, flight.api_key_id)
    return (Gate(names[0], lane, rejects=False), Gate(names[1], tenant), *(Gate(one, key) for one in names[2:]))


def flights(
    count: int, lane: str = "bulk", key: str | None = None, tenant: str = "acme", name: str = "r"
) -> list[Flight]:
    return [Flight(tenant, lane, f"{name} {n}", 1, key) for n in range(count)]


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.integration)])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    known = Known()
    if request.param == "memory":
        twin = MemoryLimiter(lambda: 1_000.0, known)

        async def forget() -> None:
            twin.wipe()

        yield Place(twin, known, forget)
        return
    client = RedisClient(request.getfixturevalue("redis_url"), timeout_s=5)
    await client.redis.set(BOOT_KEY, 1)

    async def flush() -> None:
        await client.redis.flushdb()

    yield Place(RedisLimiter(client, known), known, flush)
    await client.close()


async def test_as_many_as_there_are_places_pass_and_the_rest_waits_its_turn(place: Place) -> None:
    assert await place.enter(*flights(4), lane=3) == ["in", "in", "in", "acme/lane/bulk"]
    assert await place.limiter.free([Gate("acme/lane/bulk", 3), Gate("acme/flights", None)]) == [0, None]


async def test_who_leaves_frees_one_place_however_often_it_says_so(place: Place) -> None:
    mine = flights(3)
    await place.enter(*mine, lane=3)
    for _ in range(2):
        await place.limiter.leave([Departure(mine[0], used=0)])
    assert await place.limiter.free([Gate("acme/lane/bulk", 3)]) == [1]
    assert await place.enter(*flights(2, name="new"), lane=3) == ["in", "acme/lane/bulk"]


async def test_a_repeated_delivery_takes_no_second_place_and_passes_a_full_gate(place: Place) -> None:
    mine = flights(3)
    await place.enter(*mine, lane=3)
    assert await place.enter(*mine, lane=3) == ["in"] * 3
    await place.limiter.leave([Departure(one) for one in mine])
    assert await place.limiter.free([Gate("acme/lane/bulk", 3)]) == [3]


async def test_lanes_tenants_and_keys_have_places_of_their_own(place: Place) -> None:
    batch = [
        *flights(2, "bulk"), *flights(1, "interactive"), *flights(1, tenant="zeta"),
        *flights(3, "standard", key="k1"), *flights(1, "standard", key="k2", name="s"),
    ]  # fmt: skip
    assert await place.enter(*batch, lane=2, tenant=6, key=1) == [
        "in", "in", "in", "in", "in", "acme/key/k1/flights", "acme/key/k1/flights", "in",
    ]  # fmt: skip
    assert await place.enter(*flights(2, "interactive", name="i"), lane=9, tenant=6) == ["in", "acme/flights"]


async def test_who_wants_to_be_rejected_is_rejected_by_a_limit_and_waits_for_its_lane(place: Place) -> None:
    assert await place.enter(*flights(2), reject=True, tenant=1) == ["in", "no acme/flights"]
    assert await place.enter(*flights(1, name="s"), reject=True, lane=1) == ["acme/lane/bulk"]


async def test_a_rejection_at_a_gate_spends_nothing_and_a_wait_there_spends_once(place: Place) -> None:
    limit = (Limit("acme", per_minute=60, burst=2),)
    first, second, third = flights(3)

    async def ask(flight: Flight, reject: bool) -> float:
        (answer,) = await place.limiter.admit([Charge(limit, reject, 0, gates(flight, tenant=1), flight)])
        return answer.wait

    assert await ask(first, reject=False) == 0
    for _ in range(3):
        assert await ask(second, reject=True) == 0
    assert await ask(third, reject=False) == 0
    look = await place.limiter.peek(Charge(limit, gates=gates(first, tenant=1)))
    assert look.left[0].remaining == 0
    assert look.in_flight == (1, 1)
    assert look.admission.gate == Gate("acme/flights", 1)


async def test_D2_after_a_wipe_places_are_rebuilt_from_the_ledger_before_any_is_given(place: Place) -> None:
    mine = flights(3, key="k1")
    await place.enter(*mine, lane=4)
    await place.wipe()
    place.ledger.flights = mine
    asked = place.ledger.asked
    assert await place.enter(*flights(3, name="new"), lane=4) == ["in", "acme/lane/bulk", "acme/lane/bulk"]
    assert place.ledger.asked == asked + 1
    await place.limiter.leave([Departure(one) for one in mine])
    assert await place.limiter.free([Gate("acme/lane/bulk", 4), Gate("acme/key/k1/flights", 1)]) == [3, 1]


async def test_D2_who_only_asks_now_is_no_reason_to_pass_though_the_ledger_told_of_it(place: Place) -> None:
    mine = flights(5)
    await place.wipe()
    place.ledger.flights = mine
    assert await place.enter(mine[0], lane=3) == ["acme/lane/bulk"]
    assert await place.enter(*mine[1:], lane=3) == ["acme/lane/bulk", "in", "in", "in"]
    assert await place.limiter.free([Gate("acme/lane/bulk", 5)]) == [2]


async def test_flights_that_left_without_a_word_are_told_once_to_be_looked_at(place: Place) -> None:
    await place.enter(*flights(3, key="k1"), *flights(1, tenant="zeta"))
    stale = await place.limiter.stale(0.0, 10)
    assert sorted((one.tenant, one.id, one.api_key_id) for one in stale) == [
        ("acme", "r 0", "k1"), ("acme", "r 1", "k1"), ("acme", "r 2", "k1"), ("zeta", "r 0", None),
    ]  # fmt: skip
    assert await place.limiter.stale(60.0, 10) == []


@pytest.mark.integration
async def test_looking_at_flights_looks_at_no_other_keys(redis_url: str) -> None:
    """A look through all keys takes longer the more answers are cached, and wake waits for it."""
    client, parts = RedisClient(redis_url, timeout_s=5), urlsplit(redis_url)
    rights = {"passwords": ["+looks"], "keys": ["*"], "commands": ["+@all", "-scan", "-keys"]}
    await client.redis.acl_setuser("looks", enabled=True, **rights)
    theirs = RedisClient(f"redis://looks:looks@{parts.hostname}:{parts.port}{parts.path}", timeout_s=5)
    limiter, (mine,) = RedisLimiter(theirs, Known()), flights(1)
    await limiter.admit([Charge((), False, 0, gates(mine), mine)])
    assert await limiter.stale(0.0, 10) == [mine]
    await limiter.leave([Departure(mine)])
    assert await limiter.stale(0.0, 10) == []
    assert await client.redis.scard(FLYING_KEY) == 0, "who has no flight any more is not looked at for ever"
    await client.redis.acl_deluser("looks")
    for one in (theirs, client):
        await one.close()


async def test_tokens_are_reserved_and_what_was_not_used_comes_back(place: Place) -> None:
    one, two, three = flights(3)
    batch = [Charge((TOKENS,), False, 500, gates(flight), flight) for flight in (one, two, three)]
    waits = [answer.wait for answer in await place.limiter.admit(batch)]
    # 100 tokens come back a second
    assert waits == pytest.approx([0, 0, 5], abs=0.2)
    await place.limiter.leave([Departure(one, used=100), Departure(two)])
    # 1,500 reserved, 400 of them given back: 100 over the burst
    look = await place.limiter.peek(Charge((TOKENS,), tokens=1))
    assert look.admission.wait == pytest.approx(1, abs=0.2)
    await place.limiter.leave([Departure(one, used=100)])
    assert (await place.limiter.peek(Charge((TOKENS,), tokens=1))).admission.wait == pytest.approx(1, abs=0.2)


async def test_what_was_used_beyond_the_reservation_is_owed(place: Place) -> None:
    (one,) = flights(1)
    await place.limiter.admit([Charge((TOKENS,), False, 100, gates(one), one)])
    await place.limiter.leave([Departure(one, used=900)])
    assert (await place.limiter.peek(Charge((TOKENS,)))).left[0].remaining == pytest.approx(100, abs=20)


async def test_more_tokens_than_the_burst_cost_the_burst(place: Place) -> None:
    one, two = flights(2)
    batch = [Charge((TOKENS,), False, 50_000, gates(flight), flight) for flight in (one, two)]
    assert [answer.wait for answer in await place.limiter.admit(batch)] == pytest.approx([0, 10], abs=0.2)
    await place.limiter.leave([Departure(one, used=50_000)])
    assert (await place.limiter.peek(Charge((TOKENS,), tokens=1))).admission.wait == pytest.approx(10, abs=0.2)


async def test_a_refund_never_lifts_a_limit_above_its_burst(place: Place) -> None:
    slow = (Limit("acme/tokens", per_minute=60_000_000, burst=1_000, unit="tokens"),)
    (one,) = flights(1)
    await place.limiter.admit([Charge(slow, False, 1_000, gates(one), one)])
    await asyncio.sleep(0.01)
    await place.limiter.leave([Departure(one, used=0)])
    assert (await place.limiter.peek(Charge(slow))).left[0].remaining == 1_000
