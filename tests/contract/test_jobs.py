"""What every Jobs store does (rule D1)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.errors import Permanent
from domain.jobs.model import Job, JobView, Submission
from domain.ledger.model import State
from tests.contract.ledgers import OTHER_HASH, World, claim, in_hand, park, settlement, taken

NOON = datetime(2025, 12, 31, 12, tzinfo=UTC)


def job(id: str = "a", **more: Any) -> Job:
    facts: dict[str, Any] = {
        "tenant": "acme",
        "id": id,
        "body_hash": b"\x01hash",
        "record": f"record {id}".encode(errors="replace"),
        "submitted_at": NOON,
        "api_key_id": "key_1",
        "traceparent": "00-1-2-01",
        "reply_to": "api-1",
    }
    return Job(**{**facts, **more})


async def view(world: World, id: str = "a") -> JobView | None:
    found = await world.jobs.view("acme", [id])
    return found[0] if found else None


async def test_D1_a_batch_tells_the_new_from_the_repeated_and_the_conflicting(world: World) -> None:
    batch = [job("a"), job("b"), job("a"), job("b", body_hash=OTHER_HASH)]
    new, repeated, conflict = Submission.NEW, Submission.REPEATED, Submission.CONFLICT
    assert await world.jobs.submit(batch) == [new, new, repeated, conflict]
    assert await world.jobs.submit(batch) == [repeated, repeated, repeated, conflict]
    assert await world.jobs.submit([]) == []


async def test_D1_an_idempotency_key_stands_for_one_id_of_its_tenant(world: World) -> None:
    keyed = job("a", idempotency_key="k")
    assert await world.jobs.submit([keyed, replace(keyed, id="b")]) == [Submission.NEW, Submission.CONFLICT]
    assert await world.jobs.submit([replace(keyed, id="c"), keyed]) == [Submission.CONFLICT, Submission.REPEATED]
    assert await world.jobs.submit([replace(keyed, tenant="other")]) == [Submission.NEW]
    assert await world.jobs.view("acme", ["b", "c"]) == []


async def test_L16_a_bad_job_never_fails_its_neighbours(world: World) -> None:
    answers = await world.jobs.submit([job("a"), job("nul\0"), job("b")])
    assert (answers[0], answers[2]) == (Submission.NEW, Submission.NEW)
    assert isinstance(answers[1], Permanent)


async def test_D1_a_job_says_how_long_nobody_knows_whether_it_was_produced(world: World) -> None:
    await world.jobs.submit([job("a"), job("b"), job("c")])
    await world.later(5)
    await world.jobs.produced([("acme", "b")])
    await world.ledger().claim([claim("c"), claim("d", 2)])
    views = await world.jobs.view("acme", ["a", "b", "c", "d"])
    assert [view.unproduced_s is None for view in views] == [False, True, True, True]
    assert 5 <= (views[0].unproduced_s or 0) < 60


async def test_D1_a_job_that_was_not_produced_is_found_until_it_is(world: World) -> None:
    jobs = [job("a"), job("b")]
    await world.jobs.submit(jobs)
    assert await world.jobs.unproduced(timedelta(seconds=10), 10) == []
    await world.later(11)
    found = await world.jobs.unproduced(timedelta(seconds=10), 10)
    assert sorted(found, key=lambda job: job.id) == jobs
    assert len(await world.jobs.unproduced(timedelta(seconds=10), 1)) == 1
    await world.jobs.produced([("acme", "a"), ("acme", "nobody")])
    assert await world.jobs.unproduced(timedelta(seconds=10), 10) == [job("b")]
    assert await world.jobs.submit([job("a")]) == [Submission.REPEATED]
    assert await world.jobs.unproduced(timedelta(seconds=10), 10) == [job("b")]
    await world.jobs.produced([])


async def test_a_job_is_visible_from_its_submission_to_its_end(world: World) -> None:
    await world.jobs.submit([job()])
    await world.jobs.produced([("acme", "a")])
    assert await view(world) == JobView("acme", "a", "accepted", 1, NOON, NOON)
    worker, held = await in_hand(world)
    running = await view(world)
    assert running is not None
    assert (running.state, running.run, running.created_at, running.result) == ("running", 1, NOON, None)
    until = world.now() + timedelta(seconds=60)
    await worker.park([park("a", held.epoch, until)])
    waiting = await view(world)
    assert waiting is not None
    assert (waiting.state, waiting.not_before, waiting.reason) == ("waiting", until, "retry")
    await world.after(61, worker)
    await worker.wake(1)
    again = await taken(worker)
    await worker.settle([settlement(epoch=again.epoch, state=State.FAILED, error_code="provider_error")])
    end = await view(world)
    assert end is not None
    assert (end.state, end.error_code, end.result) == ("failed", "provider_error", b"result of a")
    assert end.updated_at > end.created_at


async def test_a_cancelled_job_says_so(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED, error_code="cancelled")])
    end = await view(world)
    assert end is not None
    assert end.state == "cancelled"


async def test_a_view_shows_the_latest_run(world: World) -> None:
    worker, held = await in_hand(world)
    await worker.settle([settlement(epoch=held.epoch, state=State.FAILED)])
    await worker.claim([claim(offset=2, rerun=True)])
    fresh = await view(world)
    assert fresh is not None
    assert (fresh.run, fresh.state, fresh.result) == (2, "accepted", None)
    second = await taken(worker, run=2)
    await worker.settle([settlement(run=2, epoch=second.epoch, result=b"second")])
    end = await view(world)
    assert end is not None
    assert (end.run, end.state, end.result) == (2, "completed", b"second")


async def test_a_view_shows_what_came_through_kafka_and_nothing_of_other_tenants(world: World) -> None:
    await world.ledger().claim([claim("a"), claim("a", tenant="other"), claim("b", tenant="other")])
    found = await world.jobs.view("acme", ["a", "b", "a", "nobody"])
    assert [(row.tenant, row.id, row.state) for row in found] == [("acme", "a", "accepted")]
    assert await world.jobs.view("acme", []) == []


async def test_a_listing_shows_the_newest_first_page_by_page_without_results(world: World) -> None:
    times = [NOON + timedelta(seconds=n // 2) for n in range(5)]
    await world.jobs.submit([job(f"j{n}", submitted_at=at) for n, at in enumerate(times)])
    await world.jobs.submit([job("theirs", tenant="other")])
    worker, held = await in_hand(world, "j4")
    await worker.settle([settlement("j4", held.epoch)])
    first = await world.jobs.listing("acme", 2, None)
    assert [(row.id, row.state, row.result) for row in first] == [("j4", "completed", None), ("j3", "accepted", None)]
    second = await world.jobs.listing("acme", 2, (first[-1].created_at, first[-1].id))
    third = await world.jobs.listing("acme", 2, (second[-1].created_at, second[-1].id))
    assert [row.id for row in [*second, *third]] == ["j2", "j1", "j0"]
    assert await world.jobs.listing("acme", 2, (third[-1].created_at, third[-1].id)) == []
