"""What the door does when something behind it is away: a 503 in time, nothing lost, nothing twice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from api import middleware
from api.analyze.marks import Marks
from api.analyze.sweeper import sweep
from connectors.memory.broker import MemoryBroker, MemoryProducer
from connectors.memory.jobs import MemoryJobs
from connectors.memory.limiter import MemoryLimiter
from connectors.memory.store import MemoryStore
from domain.admission.model import Charge
from domain.errors import Permanent, Unavailable
from domain.jobs.model import Job, JobView, Submission
from domain.ports import Record
from tests.api.door import ASK, Door, assert_problem, utc_now


class SilentProducer(MemoryProducer):
    """A broker that swallows everything while `silent`."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__(broker)
        self.silent = True

    async def send(self, records: Sequence[Record]) -> None:
        if self.silent:
            await asyncio.Event().wait()
        await super().send(records)


class DownJobs(MemoryJobs):
    """A ledger that does not answer."""

    async def submit(self, batch: Sequence[Job]) -> list[Submission | Permanent]:
        raise Unavailable("PostgreSQL at db.internal:5432 does not answer")

    async def view(self, tenant: str, ids: Sequence[str]) -> list[JobView]:
        raise Unavailable("PostgreSQL at db.internal:5432 does not answer")

    async def listing(self, tenant: str, limit: int, before: tuple[datetime, str] | None) -> list[JobView]:
        raise Unavailable("PostgreSQL at db.internal:5432 does not answer")


class ForgetfulJobs(MemoryJobs):
    """Remembers what was marked, once it is up."""

    def __init__(self, store: MemoryStore, now: Callable[[], datetime]) -> None:
        super().__init__(store, now)
        self.marked: list[tuple[str, str]] = []
        self.down = True

    async def produced(self, keys: Sequence[tuple[str, str]]) -> None:
        if self.down:
            raise Unavailable("PostgreSQL does not answer")
        self.marked += keys


class DownLimiter(MemoryLimiter):
    """A Redis that does not answer."""

    async def peek(self, charge: Charge) -> float:
        raise Unavailable("Redis does not answer")


async def test_D1_a_broker_that_is_down_is_a_503_that_names_the_id_to_retry_with(door: Door) -> None:
    door.producer.failures.append(Unavailable("kafka.internal:9092 does not answer"))
    response = await door.ask()
    body = assert_problem(response, 503, "unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert body["id"] in body["detail"]
    assert "kafka.internal" not in response.text
    again = await door.ask({**ASK, "id": body["id"]})
    assert (again.status_code, again.json()["id"]) == (200, body["id"])
    assert door.line.claims == 1


@pytest.mark.parametrize("path", ["/v1/analyze", "/v1/analyze/async"])
async def test_a_silent_broker_is_a_503_before_patience_ends(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "PATIENCE_S", 0.05)
    door = Door()
    door.ports = replace(door.ports, producer=SilentProducer(door.broker))
    async with door.opened():
        assert_problem(await door.ask(ASK, path), 503, "unavailable")


async def test_D1_an_idempotency_key_survives_the_outage(door: Door) -> None:
    door.producer.failures.append(Unavailable("down"))
    assert_problem(await door.ask(ASK, "/v1/analyze/async", idempotency_key="k"), 503, "unavailable")
    assert door.produced() == []
    assert (await door.ask(ASK, "/v1/analyze/async", idempotency_key="k")).status_code == 202
    assert len(door.produced()) == 1


async def test_a_ledger_that_is_down_is_a_503_and_nothing_is_produced() -> None:
    door = Door()
    door.ports = replace(door.ports, jobs=DownJobs(door.store, utc_now))
    async with door.opened():
        body = assert_problem(await door.ask({**ASK, "id": "a"}), 503, "unavailable")
        assert body["id"] == "a"
        assert door.produced() == []
        for path in ("/v1/jobs", "/v1/jobs/a", "/v1/jobs/a/result"):
            problem = await door.client.get(path)
            assert_problem(problem, 503, "unavailable")
            assert "db.internal" not in problem.text


async def test_a_limiter_that_is_down_does_not_stop_anybody() -> None:
    door = Door()
    door.ports = replace(door.ports, limiter=DownLimiter())
    async with door.opened():
        assert (await door.ask()).status_code == 200


async def test_D1_the_sweeper_produces_what_was_submitted_and_never_produced(door: Door) -> None:
    record = b'{"id":"lost","tenant":"acme","prompt":"hi"}'
    lost = Job("acme", "lost", b"hash", record, utc_now())
    await door.jobs.submit([lost])
    door.store.jobs["acme", "lost"].created_at = lost.submitted_at.replace(year=2020)
    parts = door.app.state.parts
    assert await sweep(door.jobs, parts.analyze, door.metrics) == 1
    assert [value["id"] for value in door.produced()] == ["lost"]
    assert await sweep(door.jobs, parts.analyze, door.metrics) == 0
    assert door.metrics.value("jobs_republished") == 1


class PickyProducer(MemoryProducer):
    """A broker that will never take one record."""

    async def send(self, records: Sequence[Record]) -> None:
        if any(record.key == b"poison" for record in records):
            raise Permanent("too large")
        await super().send(records)


async def test_D1_a_job_the_broker_will_never_take_does_not_hold_up_the_others() -> None:
    door = Door()
    door.ports = replace(door.ports, producer=PickyProducer(door.broker))
    async with door.opened():
        jobs = [Job("acme", id, b"hash", b'{"id":"%s"}' % id.encode(), utc_now()) for id in ("a", "poison", "b")]
        await door.jobs.submit(jobs)
        for row in door.store.jobs.values():
            row.created_at = row.created_at.replace(year=2020)
        door.line.open.clear()
        assert await sweep(door.jobs, door.app.state.parts.analyze, door.metrics) == 2
    assert [value["id"] for value in door.produced()] == ["a", "b"]


async def test_D1_what_was_acknowledged_is_marked_as_produced(door: Door) -> None:
    await door.ask({**ASK, "id": "a"})
    await door.app.state.parts.marks.write()
    assert door.store.jobs["acme", "a"].produced


async def test_D1_marks_that_cannot_be_written_are_kept(door: Door) -> None:
    jobs = ForgetfulJobs(door.store, utc_now)
    marks = Marks(jobs)
    marks.add(("acme", f"r{n}") for n in range(1200))
    with pytest.raises(Unavailable):
        await marks.write()
    jobs.down = False
    await marks.write()
    assert sorted(jobs.marked) == sorted(("acme", f"r{n}") for n in range(1200))


async def test_a_stopping_server_writes_its_marks() -> None:
    async with Door().opened() as door:
        await door.ask({**ASK, "id": "a"})
    assert door.store.jobs["acme", "a"].produced
