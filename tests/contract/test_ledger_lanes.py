"""Every Ledger: who waits for a place comes back when there is one, and who is in flight is known."""

from datetime import timedelta

from domain.ledger.model import Grip, Park, Release, State
from tests.contract.ledgers import World, claim, in_hand, settlement, taken

BULK = "acme/lane/bulk"
FAR = Release("acme", BULK, 100)


async def queue(world: World, *ids: str, tenant: str = "acme", gate: str = BULK, **deadlines: int) -> None:
    """Each is claimed and waits for a place, in this order; deadlines in seconds from now."""
    ledger = world.ledger()
    for id in ids:
        due = world.now() + timedelta(seconds=deadlines[id]) if id in deadlines else None
        await ledger.claim([claim(id, tenant=tenant, deadline=due, call=b'{"api_key_id": "k1"}')])
        assert await ledger.park([Park(tenant, id, 1, 0, world.now(), "lane", "bulk", gate=gate)]) == [True]
        await world.later(1)


async def released(world: World, *wanted: Release) -> list[str]:
    return [one.id for one in await world.ledger().let_in(wanted)]


async def test_who_waits_for_a_place_is_not_due_by_the_time_alone(world: World) -> None:
    await queue(world, "a")
    await world.later(86_400)
    assert await world.ledger().wake(10) == []
    assert await world.ledger().next_due() is None
    assert await released(world, FAR) == ["a"]
    assert await released(world, FAR) == []


async def test_as_many_come_back_as_there_are_places_the_earliest_deadline_first(world: World) -> None:
    await queue(world, "a", "b", "c", "d", c=3_000, d=2_000)
    assert await released(world, Release("acme", BULK, 3)) == ["d", "c", "a"]
    assert await released(world, FAR) == ["b"]


async def test_gates_are_served_one_each_in_turn(world: World) -> None:
    await queue(world, "a", "b", "c")
    await queue(world, "x", "y", tenant="zeta", gate="zeta/lane/bulk")
    assert await world.ledger().gates(10) == [("acme", BULK), ("zeta", "zeta/lane/bulk")]
    assert await world.ledger().gates(1) == [("acme", BULK)]
    assert await world.ledger().gates(10, ("acme", BULK)) == [("zeta", "zeta/lane/bulk")]
    assert await released(world, Release("acme", BULK, 2), Release("zeta", "zeta/lane/bulk", 5)) == ["a", "x", "b", "y"]
    assert await world.ledger().gates(10) == [("acme", BULK)]


async def test_who_comes_back_is_taken_under_its_new_epoch(world: World) -> None:
    await queue(world, "a")
    worker = await world.worker()
    (woken,) = await worker.let_in([FAR])
    assert (woken.lane, woken.run, woken.epoch) == ("bulk", 1, 2)
    assert (await taken(worker, "a", epoch=woken.epoch)).grip is Grip.TAKEN


async def test_who_was_ended_meanwhile_does_not_come_back(world: World) -> None:
    await queue(world, "a", "b")
    ended = settlement("a", 1, state=State.REJECTED, settled_by="wake", done=None)
    assert [answer.won for answer in await world.ledger().settle([ended])] == [True]  # type: ignore[union-attr]
    assert await released(world, FAR) == ["b"]
    assert await world.ledger().gates(10) == []


async def test_who_comes_back_and_is_lost_is_found_by_the_sweep(world: World) -> None:
    await queue(world, "a")
    assert await released(world, FAR) == ["a"]
    await world.later(31)
    assert [one.id for one in await world.ledger().stray(10)] == ["a"]


async def test_D2_the_ledger_knows_who_is_in_flight_and_who_is_not(world: World) -> None:
    await queue(world, "waits")
    call = b'{"api_key_id": "k1"}'
    await world.ledger().claim([claim("handed on", call=call), claim("no key", call=b"{}")])
    worker, answer = await in_hand(world, "runs", call=call)
    await worker.claim([claim("over", call=call)])
    await worker.settle([settlement("over", 0, done=None)])
    found = await world.flights.in_flight(10)
    assert sorted((one.id, one.api_key_id or "") for one in found) == [
        ("handed on", "k1"), ("no key", ""), ("runs", "k1"),
    ]  # fmt: skip
    assert await world.flights.ended(found) == []
    await worker.settle([settlement("runs", answer.epoch)])
    assert [one.id for one in await world.flights.ended(found)] == ["runs"]


async def test_who_waits_for_a_place_waits_until_nobody_knows_when(world: World) -> None:
    await queue(world, "a")
    record = await world.ledger().find("acme", "a")
    assert record is not None
    assert (record.state, record.reason, record.not_before) == (State.WAITING, "lane", None)
    (view,) = await world.jobs.view("acme", ["a"])
    assert (view.state, view.reason, view.not_before) == ("waiting", "lane", None)
