"""What is taken of the topics of which something was fetched."""

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition

from agents.consumer import WHILE_HELD_S, StageConsumer
from agents.fetching import SOON_S, Fetched, ask_soon, by_topic, in_turn


class Place(NamedTuple):
    topic: str
    partition: int


class Buffers:
    """Hands out partition after partition, as aiokafka does."""

    def __init__(self, sizes: Mapping[Place, int], fails: Place | None = None) -> None:
        self.left = {place: list(range(size)) for place, size in sizes.items()}
        self.fails = fails

    async def fetch(self, places: set[Place], timeout: float, most: int) -> Fetched:
        assert timeout == 0
        if self.fails in places:
            raise KafkaError("not authorised")
        found: Fetched = {}
        for place in [place for place in self.left if place in places and most > 0]:
            taken, self.left[place] = self.left[place][:most], self.left[place][most:]
            most -= len(taken)
            if taken:
                found[place] = taken
        return found

    async def take(self, most: int) -> dict[str, int]:
        here = [place for place, records in self.left.items() if records]
        found = await in_turn(self.fetch, by_topic(here, None), most)
        counts: dict[str, int] = {}
        for place, records in found.items():
            counts[place.topic] = counts.get(place.topic, 0) + len(records)
        return counts


FLOOD = {Place("shared", number): 800 for number in range(12)}


async def test_a_topic_behind_a_flood_of_another_is_in_the_next_fetch() -> None:
    assert await Buffers({**FLOOD, Place("own", 0): 5}).take(500) == {"own": 5, "shared": 495}


async def test_two_floods_share_a_fetch() -> None:
    buffers = Buffers({**FLOOD, **{Place("other", number): 800 for number in range(12)}})
    assert await buffers.take(500) == {"shared": 250, "other": 250}


async def test_of_more_topics_than_records_each_gives_one() -> None:
    assert await Buffers({Place(f"t{number}", 0): 9 for number in range(5)}).take(3) == {f"t{n}": 1 for n in range(5)}


async def test_partitions_that_are_held_are_left_out() -> None:
    here = [Place("shared", 0), Place("shared", 1), Place("own", 0)]
    assert by_topic(here, {Place("shared", 1)}) == [{Place("shared", 1)}]


async def test_S2_what_was_taken_before_an_error_is_handed_on_and_the_error_comes_by_itself() -> None:
    buffers = Buffers({Place("own", 0): 5, Place("shared", 0): 5, Place("shared", 1): 5}, fails=Place("shared", 1))
    assert await buffers.take(500) == {"own": 5}
    with pytest.raises(KafkaError):
        await buffers.take(500)


class Waits(StageConsumer):
    """Says for how long it would wait for records, before it looks again at who is held."""

    def __init__(self, active: set[Place], held: Any) -> None:
        self._active = active
        self._buffered_partitions = held
        self._thread: Any = SimpleNamespace(_consumer=SimpleNamespace(_subscription=SubscriptionState()))
        self.waits: list[float] = []

    def _get_active_partitions(self) -> Any:
        return self._active

    async def _wait_next_records(self, timeout: float) -> Any:
        self.waits.append(timeout)
        return {}, self._active

    async def sleep(self, n: Any) -> None:
        self.waits.append(n)


@pytest.mark.parametrize(
    ("active", "held", "wait"),
    [
        ({Place("t", 0), Place("t", 1)}, set(), 1.0),
        ({Place("t", 0)}, {Place("t", 1)}, WHILE_HELD_S),
        (set(), {Place("t", 0), Place("t", 1)}, WHILE_HELD_S),
    ],
    ids=["nothing held", "one held", "all held"],
)
async def test_S3_what_was_held_is_taken_from_soon_after_it_may_be(
    active: set[Place], held: set[Place], wait: float
) -> None:
    consumer = Waits(active, held)
    await consumer._next(1.0)
    assert consumer.waits == [wait]


async def test_S6_a_worker_that_is_full_for_long_stays_in_its_group() -> None:
    consumer = Waits(set(), {Place("t", 0)})
    subscription = consumer._thread._consumer._subscription
    subscription._last_fetch_ended -= 299.0
    assert subscription.fetcher_idle_time >= 299, "by this aiokafka decides whether to leave"
    await consumer._next(1.0)
    assert subscription.fetcher_idle_time < 299


async def test_what_lies_here_untaken_keeps_the_records_of_others_at_the_broker_for_a_moment_only() -> None:
    cluster = SimpleNamespace(leader_for_partition=lambda _: 0)
    client = SimpleNamespace(_loop=asyncio.get_running_loop(), _metadata_max_age_ms=1_000, cluster=cluster)
    fetcher = Fetcher(client, SubscriptionState(), fetch_max_wait_ms=200)
    ask_soon(fetcher)
    flood, quiet = TopicPartition("flood", 0), TopicPartition("quiet", 0)
    state = SimpleNamespace(has_valid_position=True, paused=False, position=3)
    assignment = SimpleNamespace(tps=[flood, quiet], state_value=lambda _: state)

    def asked() -> list[tuple[int, list[str]]]:
        requests = fetcher._get_actions_per_node(assignment)[0]
        return [(request._max_wait_ms, sorted(topic for topic, _ in request._topics)) for _, request in requests]

    try:
        assert asked() == [(200, ["flood", "quiet"])]
        fetcher._records[flood] = SimpleNamespace(calculate_backoff=lambda: SOON_S)
        assert asked() == [], "what was just fetched is about to be taken"
        fetcher._records[flood] = SimpleNamespace(calculate_backoff=lambda: 0)
        assert asked() == [(1_000 * SOON_S, ["quiet"])]
        assert fetcher._prefetch_backoff == SOON_S
    finally:
        await fetcher.close()
