"""A job's file: whole or not there, whoever makes it and however often it is begun."""

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from agents.export import making, writing
from agents.export.making import Maker, MakerPorts
from agents.export.upkeep import Upkeep, UpkeepPorts
from connectors.memory.accounts import MemoryAccounts
from connectors.memory.exporter import MemoryExporter
from connectors.memory.exports import MemoryExportJobs, MemoryExportSchedules, MemoryFiles
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.sink import MemorySink
from connectors.memory.sink_board import MemorySinkBoard
from domain.accounts.model import Tenant
from domain.errors import Unavailable
from domain.exports.job import GIVE_UP, LEASE, Job, Order, StoreTrouble
from domain.exports.model import FORMATS, Export, Format
from domain.exports.schedule import SETTLE, Schedule, check
from domain.sinks.model import Report
from tests.contract.messages import NOON, result

ROWS = 500
ORDER = Order("jsonl", NOON - timedelta(hours=1), NOON + timedelta(hours=1))
JOB = Job("acme", "exp_" + "0" * 32, ORDER, NOON, NOON)


@dataclass
class House:
    """Everything but the maker, whose clock is `now`."""

    answers: bool = True
    now: Any = NOON
    jobs: MemoryExportJobs = field(default_factory=MemoryExportJobs)
    files: MemoryFiles = field(default_factory=MemoryFiles)
    metrics: MemoryMetrics = field(default_factory=MemoryMetrics)

    def __post_init__(self) -> None:
        self.schedules = MemoryExportSchedules(self.jobs)
        self.sink = MemorySink()
        self.exporter = MemoryExporter(self.sink)
        tenants = [Tenant("acme", store_answers=True), Tenant("globex")]
        accounts = MemoryAccounts(tenants)
        ports = MakerPorts(self.jobs, self.exporter, self.files, accounts, self.metrics, lambda: self.now)
        self.maker = Maker(ports, "given/", self.answers, step=100)
        self.board = MemorySinkBoard(lambda: self.now)
        given = UpkeepPorts(self.jobs, self.schedules, self.files, self.board)
        self.upkeep = Upkeep(given, "given", timedelta(days=7))

    async def filled(self) -> "House":
        await self.sink.write([result(f"r{n:04}", metadata={}, output="x" * 100) for n in range(ROWS)])
        await self.sink.write([result("other", tenant="globex")])
        return self

    async def job(self, whose: Job = JOB) -> Job:
        found = await self.jobs.get(whose.tenant, whose.id)
        assert found is not None
        return found

    def only_file(self) -> bytes:
        (body,) = self.files.objects.values()
        return body


def ids(format: Format, body: bytes) -> list[str]:
    if format == "csv":
        return [row["id"] for row in csv.DictReader(io.StringIO(body.decode()))]
    rows = json.loads(body) if format == "json" else [json.loads(line) for line in body.splitlines()]
    return [row["id"] for row in rows]


@pytest.fixture
async def house() -> House:
    return await House().filled()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if rows were large: some readings are a part."""
    monkeypatch.setattr(writing, "PART", 30_000)
    monkeypatch.setattr(writing, "LEAST_PART", 20_000)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.usefixtures("small_parts")
async def test_a_file_is_the_same_as_a_streamed_one(house: House, format: Format) -> None:
    job = replace(JOB, order=replace(ORDER, format=format))
    await house.jobs.add(job)
    assert await house.maker.turn() == "completed"
    done = await house.job()
    assert done.state == "completed"
    assert (done.progress.rows, done.progress.total) == (ROWS, ROWS)
    streamed = b"".join([piece async for piece in house.exporter.file(job.export(True))])
    assert house.only_file() == streamed
    assert done.progress.bytes == len(streamed)
    assert done.progress.key == f"given/acme/{JOB.id}/1/{JOB.file.replace('jsonl', format)}"
    assert house.files.uploads == {}
    assert await house.maker.turn() is None


async def test_an_export_of_nothing_is_a_file(house: House) -> None:
    await house.jobs.add(replace(JOB, order=replace(ORDER, format="json", template="none")))
    assert await house.maker.turn() == "completed"
    assert json.loads(house.only_file()) == []


@pytest.mark.parametrize("format", ["csv", "json", "jsonl"])
@pytest.mark.parametrize("dies_after", [1, 2, 3, 4])
@pytest.mark.usefixtures("small_parts")
async def test_whoever_takes_it_over_goes_on_and_nothing_is_visible_before(
    house: House, monkeypatch: pytest.MonkeyPatch, format: Format, dies_after: int
) -> None:
    """The first process ends without a word, as a kill does, in its n-th reading."""
    await house.jobs.add(replace(JOB, order=replace(ORDER, format=format)))
    readings = 0
    rows = house.exporter.rows

    async def dying(wanted: Export) -> AsyncIterator[bytes]:
        nonlocal readings
        readings += 1
        async for piece in rows(wanted):
            yield piece
            if readings == dies_after:
                raise Killed

    monkeypatch.setattr(house.exporter, "rows", dying)
    monkeypatch.setattr(making.log, "exception", lambda *_, **__: None)
    monkeypatch.setattr(house.maker, "_fail", _nothing)
    await house.maker.turn()
    monkeypatch.setattr(house.exporter, "rows", rows)
    assert house.files.objects == {}
    assert await house.maker.turn() is None
    house.now += LEASE
    assert await house.maker.turn() == "completed"
    assert ids(format, house.only_file()) == [f"r{n:04}" for n in range(ROWS)]
    assert house.files.uploads == {}


class Killed(Exception):
    """The process is gone."""


async def _nothing(*_: object) -> str:
    return "failed"


@pytest.mark.usefixtures("small_parts")
async def test_what_was_read_before_is_not_read_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.jobs.add(JOB)
    begun: list[str] = []
    rows, trouble = house.exporter.rows, StoreTrouble("S3 bucket x answered 503 SlowDown: it asks for fewer requests")

    def watched(wanted: Export) -> AsyncIterator[bytes]:
        begun.append(wanted.after)
        house.files.trouble = trouble if wanted.after == "r0299" else None
        return rows(wanted)

    monkeypatch.setattr(house.exporter, "rows", watched)
    assert await house.maker.turn() == "waits"
    job = await house.job()
    assert (job.state, job.detail) == ("queued", str(trouble))
    assert job.progress.rows == 300
    house.files.trouble = None
    house.now += timedelta(seconds=300)
    monkeypatch.setattr(house.exporter, "rows", lambda wanted: begun.append(wanted.after) or rows(wanted))
    assert await house.maker.turn() == "completed"
    assert begun == ["", "r0099", "r0199", "r0299", "r0299", "r0399"]
    assert ids("jsonl", house.only_file()) == [f"r{n:04}" for n in range(ROWS)]


@pytest.mark.usefixtures("small_parts")
async def test_an_upload_that_is_gone_is_begun_anew(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.jobs.add(JOB)
    finish = house.files.finish

    async def cleaned(key: str, upload: str, parts: Any) -> None:
        house.files.uploads.clear()
        await finish(key, upload, parts)

    monkeypatch.setattr(house.files, "finish", cleaned)
    assert await house.maker.turn() == "waits"
    monkeypatch.setattr(house.files, "finish", finish)
    house.now += timedelta(seconds=10)
    assert await house.maker.turn() == "completed"
    assert ids("jsonl", house.only_file()) == [f"r{n:04}" for n in range(ROWS)]


@pytest.mark.usefixtures("small_parts")
async def test_a_process_that_was_only_thought_dead_ends_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another has taken the job meanwhile: what the first says is refused by its fence."""
    await house.jobs.add(JOB)
    rows = house.exporter.rows

    async def slow(wanted: Export) -> AsyncIterator[bytes]:
        if wanted.after == "r0199":
            monkeypatch.setattr(house.exporter, "rows", rows)
            house.now += LEASE + timedelta(seconds=1)
            assert await house.maker.turn() == "completed"
        async for piece in rows(wanted):
            yield piece

    monkeypatch.setattr(house.exporter, "rows", slow)
    assert await house.maker.turn() == "lost"
    done = await house.job()
    assert (done.state, done.fence) == ("completed", 2)
    assert ids("jsonl", house.only_file()) == [f"r{n:04}" for n in range(ROWS)]


@pytest.mark.usefixtures("small_parts")
async def test_a_cancelled_export_stops_and_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.jobs.add(JOB)
    rows = house.exporter.rows

    async def cancelling(wanted: Export) -> AsyncIterator[bytes]:
        if wanted.after == "r0299":
            assert await house.jobs.cancel("acme", JOB.id, house.now)
        async for piece in rows(wanted):
            yield piece

    monkeypatch.setattr(house.exporter, "rows", cancelling)
    assert await house.maker.turn() == "lost"
    assert (await house.job()).state == "cancelled"
    assert house.files.objects == {}
    await house.upkeep.tidy(house.now)
    assert house.files.uploads == {}
    assert await house.jobs.leftovers(10) == []


@pytest.mark.usefixtures("small_parts")
async def test_a_stop_gives_the_job_back_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await house.jobs.add(JOB)
    rows, reading = house.exporter.rows, asyncio.Event()

    async def hanging(wanted: Export) -> AsyncIterator[bytes]:
        if wanted.after == "r0299":
            reading.set()
            await asyncio.Event().wait()
        async for piece in rows(wanted):
            yield piece

    monkeypatch.setattr(house.exporter, "rows", hanging)
    turn = asyncio.ensure_future(house.maker.turn())
    await reading.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    job = await house.job()
    assert (job.state, job.due_at, job.progress.rows) == ("queued", house.now, 300)
    monkeypatch.setattr(house.exporter, "rows", rows)
    assert await house.maker.turn() == "completed"


async def test_what_is_away_is_waited_for_a_day_and_says_what_it_is(house: House) -> None:
    await house.jobs.add(JOB)
    house.files.trouble = StoreTrouble("S3 bucket x answered 404 NoSuchBucket: create the bucket")
    waits = []
    while (await house.maker.turn()) == "waits":
        job = await house.job()
        waits.append((job.due_at - house.now).total_seconds())
        house.now = job.due_at
    assert waits[:8] == [5, 10, 20, 40, 80, 160, 300, 300]
    job = await house.job()
    assert (job.state, job.detail) == (
        "failed", "given up after 24 h: S3 bucket x answered 404 NoSuchBucket: create the bucket",
    )  # fmt: skip
    assert timedelta() <= house.now - NOON - GIVE_UP < timedelta(minutes=6)


async def test_of_our_own_dependencies_a_tenant_learns_no_more_than_that_they_are_away(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_: Export) -> int:
        raise Unavailable("ClickHouse at 10.0.0.7:8123 does not answer")

    monkeypatch.setattr(house.exporter, "count", away)
    await house.jobs.add(JOB)
    assert await house.maker.turn() == "waits"
    assert (await house.job()).detail == "a part of the service does not answer"


async def test_answers_leave_only_with_consent_as_it_is_when_the_file_is_made(house: House) -> None:
    named = replace(JOB, id="exp_" + "1" * 32, tenant="globex", order=replace(ORDER, fields=("id", "output")))
    all_there_are = replace(JOB, id="exp_" + "2" * 32, tenant="globex")
    for job in (named, all_there_are):
        await house.jobs.add(job)
    assert [await house.maker.turn() for _ in range(2)] == ["failed", "completed"]
    assert "not permitted" in (await house.job(named)).detail
    (row,) = [json.loads(line) for line in house.only_file().splitlines()]
    assert (row["id"], "output" in row) == ("other", False)
    strict = await House(answers=False).filled()
    await strict.jobs.add(JOB)
    assert await strict.maker.turn() == "completed"
    assert "output" not in json.loads(strict.only_file().splitlines()[0])


async def test_a_schedule_orders_its_export_once(house: House) -> None:
    cron, zone = "30 12 * * *", "UTC"
    order = replace(ORDER, since=NOON, until=NOON)
    one = Schedule("acme", "daily", cron, zone, order, NOON, NOON - timedelta(hours=1), check(cron, zone, NOON))
    assert await house.schedules.create(one)
    house.now = NOON + timedelta(minutes=30)
    assert await house.upkeep.order(house.now) == 0
    house.now += SETTLE
    assert [await house.upkeep.order(house.now) for _ in range(2)] == [1, 0]
    assert await house.maker.turn() == "completed"
    assert len(ids("jsonl", house.only_file())) == ROWS
    assert await house.schedules.pause("acme", "daily", house.now)
    house.now += timedelta(days=3)
    assert await house.upkeep.order(house.now) == 0
    assert await house.schedules.pause("acme", "daily", None)
    assert await house.upkeep.order(house.now) == 1
    (job, _) = await house.jobs.page("acme", 10, None)
    assert job.order.until - job.order.since == timedelta(days=3)


async def test_a_schedule_waits_for_the_sink_that_fills_the_usage_database(house: House) -> None:
    order = replace(ORDER, since=NOON, until=NOON)
    one = Schedule("acme", "daily", "30 12 * * *", "UTC", order, NOON, NOON, check("30 12 * * *", "UTC", NOON))
    assert await house.schedules.create(one)
    house.now = NOON + timedelta(minutes=32)
    behind = Report("clickhouse", "sink-1", "waiting", 40, oldest_at=NOON, detail="it does not answer")
    await house.board.tell(behind)
    assert await house.upkeep.order(house.now) == 0
    house.now += timedelta(hours=2)
    await house.board.tell(behind)
    assert await house.upkeep.order(house.now) == 0
    await house.board.tell(replace(behind, state="running", lag=0, oldest_at=None))
    assert await house.upkeep.order(house.now) == 1
    (job,) = await house.jobs.page("acme", 10, None)
    assert (job.order.since, job.order.until) == (NOON, NOON + timedelta(minutes=30))


async def test_what_is_old_is_forgotten_with_its_file(house: House) -> None:
    await house.jobs.add(JOB)
    await house.maker.turn()
    await house.upkeep.tidy(house.now + timedelta(days=6))
    assert house.files.objects
    await house.upkeep.tidy(house.now + timedelta(days=8))
    assert house.files.objects == {}
    assert await house.jobs.get("acme", JOB.id) is None
    await house.upkeep.measure(house.metrics, house.now)
    assert house.metrics.value("exports_unfinished") == 0
