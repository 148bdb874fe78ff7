"""What every store of webhooks does: endpoints, and the durable queue of deliveries."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.memory.webhooks import MemoryDeliveries, MemoryEndpoints
from connectors.postgres.deliveries import PostgresDeliveries
from connectors.postgres.endpoints import PostgresEndpoints
from connectors.postgres.pool import connect
from domain.ports import Deliveries, Endpoints
from domain.webhooks.model import Attempt, Change, Due, Endpoint, Mark, Message, Settlement, Wish

NOW = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
TABLES = ("webhook_endpoints", "deliveries", "delivery_attempts", "delivery_queue", "delivery_lanes")


@dataclass
class Webhooks:
    endpoints: Endpoints
    deliveries: Deliveries

    async def take(
        self, limit: int = 100, at: datetime = NOW, other: int = 50, size: int = 1 << 30, **rooms: int
    ) -> list[Due]:
        named = {("acme", name): room for name, room in rooms.items()}
        return await self.deliveries.take(Wish(named, other, limit, size), at, at + timedelta(minutes=1))


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.integration)])
def database(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "memory" else request.getfixturevalue("database_url")


@asynccontextmanager
async def stored_in(database: str | None) -> AsyncIterator[Webhooks]:
    """Empty; in memory where there is no database."""
    if database is None:
        endpoints = MemoryEndpoints()
        yield Webhooks(endpoints, MemoryDeliveries(endpoints))
        return
    pool = await connect(database, 8)
    for table in TABLES:
        await pool.fetch(f"DELETE FROM {table}")
    yield Webhooks(PostgresEndpoints(pool), PostgresDeliveries(pool))
    await pool.close()


@pytest.fixture
async def webhooks(database: str | None) -> AsyncIterator[Webhooks]:
    async with stored_in(database) as found:
        yield found


def endpoint(id: str = "e1", tenant: str = "acme", minutes: int = 0, **more: object) -> Endpoint:
    one = Endpoint(tenant, id, f"https://{id}.example/hook", (), b"salt", NOW + timedelta(minutes=minutes))
    return replace(one, **more)  # type: ignore[arg-type]


def message(id: str = "m1", to: str = "e1", tenant: str = "acme", url: str | None = None) -> Message:
    return Message(tenant, to, id, "request.completed", NOW - timedelta(hours=1), b"body of " + id.encode(), url)


def over(due: Due, outcome: str = "delivered", again: datetime | None = None, at: datetime = NOW) -> Settlement:
    attempt = Attempt(at, outcome, 12, 200, "a: b", "HTTP/1.1 200\0", "")  # type: ignore[arg-type]
    return Settlement(due.key, attempt, due.tried + 1, again)


def ids(found: list[Due]) -> list[str]:
    return sorted(one.key.id for one in found)


# --- endpoints -------------------------------------------------------------------------------------------------------


async def test_an_endpoint_is_its_tenants_alone(webhooks: Webhooks) -> None:
    ours = endpoint(fields=("output",), events=("cache.hit",), description="d")
    await webhooks.endpoints.add(ours)
    assert await webhooks.endpoints.get("acme", "e1") == ours
    assert await webhooks.endpoints.get("globex", "e1") is None
    assert await webhooks.endpoints.change("globex", "e1", Change(url="https://b.example")) is None
    assert await webhooks.endpoints.rotate("globex", "e1", b"x", NOW) is None
    assert not await webhooks.endpoints.delete("globex", "e1")
    assert await webhooks.endpoints.page("globex", 9, None) == []
    assert await webhooks.endpoints.delete("acme", "e1")
    assert await webhooks.endpoints.get("acme", "e1") is None


async def test_endpoints_are_listed_newest_first_in_pages(webhooks: Webhooks) -> None:
    for number in range(3):
        await webhooks.endpoints.add(endpoint(f"e{number}", minutes=number))
    first = await webhooks.endpoints.page("acme", 2, None)
    assert [one.id for one in first] == ["e2", "e1"]
    last = first[-1]
    assert [one.id for one in await webhooks.endpoints.page("acme", 2, (last.created_at, last.id))] == ["e0"]


async def test_a_change_says_only_what_changes(webhooks: Webhooks) -> None:
    before = endpoint(fields=("output",), events=("cache.hit",))
    await webhooks.endpoints.add(before)
    found = await webhooks.endpoints.change("acme", "e1", Change(url="https://b.example"))
    assert found == replace(before, url="https://b.example")
    found = await webhooks.endpoints.change("acme", "e1", Change(events=(), fields=(), enabled=False))
    assert found == replace(before, url="https://b.example", events=(), fields=None, enabled=False)


async def test_the_secret_before_a_rotation_stays_for_a_while(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.endpoints.rotate("acme", "e1", b"second", NOW)
    found = await webhooks.endpoints.rotate("acme", "e1", b"third", NOW + timedelta(hours=1))
    assert found == endpoint(salt=b"third", old_salt=b"second", old_until=NOW + timedelta(hours=1))


async def test_subscriptions_are_told_once_for_each_version(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.endpoints.add(endpoint("e2", enabled=False))
    await webhooks.endpoints.change("acme", "e2", Change(enabled=False))
    await webhooks.endpoints.add(endpoint("e3", "globex"))
    first = await webhooks.endpoints.subscriptions(0)
    assert first is not None
    assert first.endpoints == {"acme": [endpoint()], "globex": [endpoint("e3", "globex")]}
    assert await webhooks.endpoints.subscriptions(first.version) is None
    await webhooks.endpoints.delete("acme", "e1")
    second = await webhooks.endpoints.subscriptions(first.version)
    assert second is not None
    assert list(second.endpoints) == ["globex"]


async def test_who_fails_is_remembered_from_the_first_failure_on_and_disabled_once(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    later = NOW + timedelta(days=5)
    for since in (NOW, later):
        await webhooks.endpoints.mark([Mark("acme", "e1", since)])
    assert await webhooks.endpoints.get("acme", "e1") == endpoint(failing_since=NOW)
    await webhooks.endpoints.mark([Mark("acme", "e1", None)])
    assert await webhooks.endpoints.get("acme", "e1") == endpoint()
    await webhooks.endpoints.mark([Mark("acme", "e1", later, "failing"), Mark("acme", "e1", None)])
    gone = endpoint(failing_since=later, enabled=False, disabled="failing")
    await webhooks.endpoints.mark([Mark("acme", "e1", None), Mark("acme", "none", None)])
    assert await webhooks.endpoints.untold() == [gone]
    subscriptions = await webhooks.endpoints.subscriptions(0)
    assert subscriptions is not None
    assert subscriptions.endpoints == {}
    await webhooks.endpoints.told([gone])
    assert await webhooks.endpoints.untold() == []
    assert await webhooks.endpoints.change("acme", "e1", Change(enabled=True)) == endpoint()


# --- the queue -------------------------------------------------------------------------------------------------------


async def test_a_delivery_is_put_once_and_taken_once(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    assert await webhooks.deliveries.put([message("a"), message("b"), message("a")], NOW) == 2
    assert await webhooks.deliveries.put([message("a"), message("c")], NOW) == 1
    taken = await webhooks.take()
    assert ids(taken) == ["a", "b", "c"]
    first = next(one for one in taken if one.key.id == "a")
    assert (first.body, first.tried, first.url) == (b"body of a", 0, "https://e1.example/hook")
    assert (first.target, first.key.day) == (endpoint(), NOW.date())
    assert await webhooks.take() == []
    await webhooks.deliveries.settle([over(one) for one in taken])
    assert await webhooks.deliveries.put([message("a")], NOW) == 0
    assert await webhooks.take(at=NOW + timedelta(days=3)) == []


async def test_what_was_taken_by_somebody_who_died_is_free_again(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.deliveries.put([message()], NOW)
    assert len(await webhooks.take()) == 1
    assert await webhooks.take(at=NOW + timedelta(seconds=59)) == []
    assert ids(await webhooks.take(at=NOW + timedelta(seconds=61))) == ["m1"]


async def test_a_failed_attempt_comes_again_at_its_time(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.deliveries.put([message()], NOW)
    [due] = await webhooks.take()
    for at in (NOW, NOW):  # settled twice
        await webhooks.deliveries.settle([over(due, "failed", NOW + timedelta(seconds=5), at)])
    assert await webhooks.take(at=NOW + timedelta(seconds=4)) == []
    [again] = await webhooks.take(at=NOW + timedelta(seconds=5))
    assert again.tried == 1
    found = await webhooks.deliveries.get("acme", "e1", "m1")
    assert found is not None
    assert [one.outcome for one in found.attempts] == ["failed"]


async def test_each_destination_has_its_room_and_who_waits_longest_comes_first(webhooks: Webhooks) -> None:
    for id in ("e1", "e2", "e3"):
        await webhooks.endpoints.add(endpoint(id))
        await webhooks.deliveries.put([message(f"{id}-{n}", id) for n in range(5)], NOW)
    assert ids(await webhooks.take(e1=0, e2=2, other=1)) == ["e2-0", "e2-1", "e3-0"]
    await webhooks.deliveries.put([message("x", "e4", url="https://c.example")], NOW - timedelta(hours=1))
    assert ids(await webhooks.take(limit=1, other=1)) == ["x"]
    rest = await webhooks.take()
    assert len(rest) == 12
    assert await webhooks.take() == []


async def test_no_more_is_taken_than_fits(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    for number in range(6):  # 10 bytes each
        await webhooks.deliveries.put([message(f"m{number}")], NOW - timedelta(seconds=9 - number))
    assert ids(await webhooks.take(size=25)) == ["m0", "m1", "m2"]
    assert ids(await webhooks.take(size=1)) == ["m3"]
    assert ids(await webhooks.take(limit=1)) == ["m4"]
    assert ids(await webhooks.take()) == ["m5"]


async def test_an_endpoint_takes_its_queue_with_it_and_a_callback_needs_none(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    callback = message("c", "callback:c.example", url="https://c.example/x?y")
    await webhooks.deliveries.put([message(), callback], NOW)
    await webhooks.endpoints.delete("acme", "e1")
    [due] = await webhooks.take()
    assert (due.key.id, due.url, due.target) == ("c", "https://c.example/x?y", None)


async def test_the_log_is_listed_newest_first_with_the_last_attempt_of_each(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    for number in range(3):
        await webhooks.deliveries.put([message(f"m{number}")], NOW + timedelta(seconds=number))
    taken = {one.key.id: one for one in await webhooks.take(at=NOW + timedelta(seconds=9))}
    tomorrow = NOW + timedelta(days=1)
    await webhooks.deliveries.settle([
        over(taken["m0"]), over(taken["m1"], "failed"), over(taken["m2"], "failed", tomorrow),
    ])  # fmt: skip
    first = await webhooks.deliveries.page("acme", "e1", 2, None)
    assert [(one.id, one.status, one.next_attempt_at) for one in first] == [
        ("m2", "pending", tomorrow), ("m1", "failed", None),
    ]  # fmt: skip
    [last] = await webhooks.deliveries.page("acme", "e1", 2, (first[1].created_at, first[1].id))
    assert (last.id, last.status, last.type, last.body) == ("m0", "delivered", "request.completed", None)
    assert (last.at, last.created_at) == (NOW - timedelta(hours=1), NOW)
    [attempt] = last.attempts
    assert (attempt.at, attempt.ms, attempt.status, attempt.request) == (NOW, 12, 200, "a: b")
    assert await webhooks.deliveries.page("globex", "e1", 9, None) == []
    assert await webhooks.deliveries.get("globex", "e1", "m0") is None


async def test_a_delivery_is_sent_again_on_demand(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    await webhooks.deliveries.put([message()], NOW)
    [due] = await webhooks.take()
    await webhooks.deliveries.settle([over(due)])
    assert not await webhooks.deliveries.again("globex", "e1", "m1", NOW)
    assert not await webhooks.deliveries.again("acme", "e1", "m2", NOW)
    assert await webhooks.deliveries.again("acme", "e1", "m1", NOW + timedelta(hours=1))
    [due] = await webhooks.take(at=NOW + timedelta(hours=1))
    assert due.tried == 0
    await webhooks.deliveries.settle([over(due, at=NOW + timedelta(hours=1))])
    found = await webhooks.deliveries.get("acme", "e1", "m1")
    assert found is not None
    assert (len(found.attempts), found.body, found.status) == (2, b"body of m1", "delivered")


async def test_the_backlog_tells_what_waits_and_since_when(webhooks: Webhooks) -> None:
    await webhooks.endpoints.add(endpoint())
    assert (await webhooks.deliveries.backlog()).waiting == 0
    await webhooks.deliveries.put([message("a"), message("b")], NOW)
    backlog = await webhooks.deliveries.backlog()
    assert (backlog.waiting, backlog.due_since) == (2, NOW)


async def test_who_is_due_longest_is_looked_for_among_others_than_those_that_are_held(webhooks: Webhooks) -> None:
    for id, late in (("e1", 9), ("e2", 5)):
        await webhooks.endpoints.add(endpoint(id))
        await webhooks.deliveries.put([message(id, id)], NOW - timedelta(minutes=late))
    backlog = await webhooks.deliveries.backlog({("acme", "e1"), ("globex", "e2")})
    assert (backlog.waiting, backlog.due_since) == (2, NOW - timedelta(minutes=5))
    backlog = await webhooks.deliveries.backlog({("acme", "e1"), ("acme", "e2")})
    assert backlog.waiting == 2
    assert backlog.due_since is None or backlog.due_since > NOW + timedelta(days=365)


async def test_many_workers_take_each_delivery_once_while_others_are_put(webhooks: Webhooks) -> None:
    for number in range(5):
        await webhooks.endpoints.add(endpoint(f"e{number}"))
    seen: list[str] = []

    async def work() -> None:
        while len(seen) < 200:
            taken = await webhooks.take(limit=7, other=3)
            seen.extend(one.key.id for one in taken)
            await webhooks.deliveries.settle([over(one) for one in taken])
            await asyncio.sleep(0.001)

    async def write() -> None:
        for number in range(40):
            await webhooks.deliveries.put([message(f"{number}-{n}", f"e{n}") for n in range(5)], NOW)

    async with asyncio.timeout(60):
        await asyncio.gather(write(), *(work() for _ in range(4)))
    assert sorted(seen) == sorted(f"{number}-{n}" for number in range(40) for n in range(5))
