"""What every Cache does, and what the near one and the tiers do beyond it."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from connectors.memory.cache import OVERHEAD_BYTES, MemoryCache
from connectors.redis.cache import MAX_VALUE_BYTES, PREFIX, RedisCache
from connectors.redis.client import RedisClient
from connectors.tiered import TieredCache
from domain.errors import Unavailable
from domain.ports import Cache

HOUR = timedelta(hours=1)
ROOM = 10 * 1024 * 1024


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class DeadCache:
    """A Cache whose store is gone."""

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        raise Unavailable("gone")

    async def put_many(self, entries: Sequence[tuple[str, bytes]], ttl: timedelta) -> None:
        raise Unavailable("gone")


@pytest.fixture(params=["memory", "tiered", pytest.param("redis", marks=pytest.mark.integration)])
async def cache(request: pytest.FixtureRequest) -> AsyncIterator[Cache]:
    if request.param == "memory":
        yield MemoryCache(ROOM)
    elif request.param == "tiered":
        yield TieredCache(MemoryCache(ROOM), MemoryCache(ROOM), HOUR)
    else:
        client = RedisClient(request.getfixturevalue("redis_url"))
        yield RedisCache(client)
        await client.close()


async def test_answers_come_in_the_order_of_the_keys_with_none_for_a_miss(cache: Cache) -> None:
    await cache.put_many([("a", b"1"), ("b", b"\x00\xff")], HOUR)
    assert await cache.get_many(["b", "missing", "a", "b"]) == [b"\x00\xff", None, b"1", b"\x00\xff"]


async def test_a_later_value_replaces_the_earlier_one(cache: Cache) -> None:
    await cache.put_many([("a", b"1"), ("a", b"2")], HOUR)
    await cache.put_many([("a", b"3")], HOUR)
    assert await cache.get_many(["a"]) == [b"3"]


async def test_a_value_of_one_mebibyte_is_kept(cache: Cache) -> None:
    value = b"x" * MAX_VALUE_BYTES
    await cache.put_many([("a", value)], HOUR)
    assert await cache.get_many(["a"]) == [value]


async def test_a_ttl_of_nothing_keeps_nothing(cache: Cache) -> None:
    await cache.put_many([("a", b"1")], timedelta(0))
    assert await cache.get_many(["a"]) == [None]


async def test_empty_batches_are_fine(cache: Cache) -> None:
    await cache.put_many([], HOUR)
    assert await cache.get_many([]) == []


@pytest.mark.integration
async def test_the_redis_cache_lets_entries_expire_and_refuses_what_is_too_large(redis_url: str) -> None:
    client = RedisClient(redis_url)
    cache = RedisCache(client)
    await cache.put_many([("a", b"1"), ("large", b"x" * (MAX_VALUE_BYTES + 1))], HOUR)
    assert 3_590_000 < await client.redis.pttl(PREFIX + "a") <= 3_600_000
    assert await cache.get_many(["large"]) == [None]
    await client.close()


async def test_the_memory_cache_forgets_after_the_ttl() -> None:
    clock = Clock()
    cache = MemoryCache(ROOM, clock)
    await cache.put_many([("a", b"1")], timedelta(seconds=10))
    clock.now = 9.9
    assert await cache.get_many(["a"]) == [b"1"]
    clock.now = 10.0
    assert await cache.get_many(["a"]) == [None]
    assert cache.bytes_held == 0


async def test_the_memory_cache_drops_what_was_used_longest_ago() -> None:
    cache = MemoryCache(2 * (OVERHEAD_BYTES + 1 + 10))
    await cache.put_many([("a", b"x" * 10), ("b", b"x" * 10)], HOUR)
    await cache.get_many(["a"])
    await cache.put_many([("c", b"x" * 10)], HOUR)
    assert [value is not None for value in await cache.get_many(["a", "b", "c"])] == [True, False, True]


async def test_the_memory_cache_stays_within_its_bytes() -> None:
    cache = MemoryCache(10_000)
    for number in range(1_000):
        await cache.put_many([(str(number), b"x" * (number % 300))], HOUR)
        assert cache.bytes_held <= 10_000
    await cache.put_many([("huge", b"x" * 10_001)], HOUR)
    assert await cache.get_many(["huge", "999"]) == [None, b"x" * 99]


async def test_the_tiers_answer_near_what_came_from_afar() -> None:
    clock = Clock()
    near, far = MemoryCache(ROOM, clock), MemoryCache(ROOM, clock)
    tiers = TieredCache(near, far, timedelta(seconds=60))
    await far.put_many([("a", b"1")], HOUR)
    assert await tiers.get_many(["a", "b"]) == [b"1", None]
    assert await near.get_many(["a"]) == [b"1"]
    clock.now = 60.0
    assert await near.get_many(["a"]) == [None]
    assert await tiers.get_many(["a"]) == [b"1"]


async def test_without_the_far_cache_the_near_one_goes_on_and_somebody_hears_of_it() -> None:
    heard: list[Unavailable] = []
    tiers = TieredCache(MemoryCache(ROOM), DeadCache(), HOUR, heard.append)
    await tiers.put_many([("a", b"1")], HOUR)
    assert await tiers.get_many(["a", "b"]) == [b"1", None]
    assert len(heard) == 2
