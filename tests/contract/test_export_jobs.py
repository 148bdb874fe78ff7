"""What every ledger of exports does, and every place for their files."""

import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.memory.exports import MemoryExportJobs, MemoryExportSchedules, MemoryFiles
from connectors.postgres.exports import PostgresExportJobs, PostgresExportSchedules
from connectors.postgres.pool import connect
from connectors.s3.client import S3, Bucket
from domain.exports.job import LEASE, LEAST_PART, MOST_UNFINISHED, Job, Order, Progress, StoreTrouble, UploadGone
from domain.exports.schedule import Schedule, check, run
from domain.ports import ExportJobs, ExportSchedules, Files
from tests import s3
from tests.contract.messages import NOON

MINUTE = timedelta(minutes=1)
ORDER = Order("csv", NOON - 60 * MINUTE, NOON, "sentiment", "completed", ("id", "cost_usd"))


def job(number: int = 1, tenant: str = "acme") -> Job:
    return Job(tenant, f"exp_{number:032}", ORDER, NOON + number * MINUTE, NOON + number * MINUTE)


Ledger = tuple[ExportJobs, ExportSchedules]


@pytest.fixture
async def ledger(database: str | None) -> AsyncIterator[Ledger]:
    if database is None:
        jobs = MemoryExportJobs()
        yield jobs, MemoryExportSchedules(jobs)
        return
    pool = await connect(database, 2)
    await pool.fetch("DELETE FROM export_jobs")
    await pool.fetch("DELETE FROM export_schedules")
    yield PostgresExportJobs(pool), PostgresExportSchedules(pool)
    await pool.close()


async def test_a_job_is_kept_as_it_was_ordered_and_is_its_tenants_alone(ledger: Ledger) -> None:
    jobs, _ = ledger
    assert await jobs.add(job())
    assert await jobs.get("acme", job().id) == job()
    assert await jobs.get("globex", job().id) is None
    assert not await jobs.cancel("globex", job().id, NOON)
    whole = replace(job(2), order=replace(ORDER, fields=None, template=None, status=None), schedule="nightly")
    assert await jobs.add(whole)
    assert await jobs.page("acme", 10, None) == [whole, job()]
    assert await jobs.page("acme", 1, (whole.created_at, whole.id)) == [job()]
    assert await jobs.page("globex", 10, None) == []


async def test_an_id_is_one_job_and_says_what_was_asked(ledger: Ledger) -> None:
    jobs, _ = ledger
    first = replace(job(), asked=b"\x00\xff")
    assert await jobs.add(first)
    assert not await jobs.add(replace(job(2), id=first.id, asked=b"other"))
    assert await jobs.get("acme", first.id) == first
    assert await jobs.add(replace(first, tenant="globex"))


async def test_only_the_newest_taker_may_speak_of_it(ledger: Ledger) -> None:
    jobs, _ = ledger
    await jobs.add(job())
    now = NOON + 5 * MINUTE
    assert await jobs.take(NOON, NOON + LEASE) is None
    first = await jobs.take(now, now + LEASE)
    assert first is not None
    assert (first.state, first.fence, first.tries, first.started_at, first.due_at) == (
        "running",
        1,
        1,
        now,
        now + LEASE,
    )
    assert await jobs.take(now, now + LEASE) is None
    far = Progress(5, 500, 9, "r5", "k", "u", ("a", "b"))
    assert await jobs.hold(first, now + 2 * LEASE, far)
    now += 2 * LEASE
    second = await jobs.take(now, now + LEASE)
    assert second is not None
    assert (second.fence, second.tries, second.progress) == (2, 1, far)
    assert not await jobs.hold(first, now + LEASE, Progress())
    assert not await jobs.wait(first, now, "", Progress())
    assert not await jobs.end(first, "completed", now, "", Progress())
    assert await jobs.wait(second, now + MINUTE, "no bucket", far)
    waiting = await jobs.get("acme", job().id)
    assert waiting is not None
    assert (waiting.state, waiting.detail, waiting.progress) == ("queued", "no bucket", far)
    assert await jobs.backlog(now + 2 * MINUTE) == (1, 60.0)
    third = await jobs.take(now + MINUTE, now + 2 * MINUTE)
    assert third is not None
    assert (third.detail, third.tries, third.started_at) == ("", 2, first.started_at)
    done = Progress(9, 900, 9, "", "k")
    assert await jobs.end(third, "completed", now, "", done)
    assert await jobs.get("acme", job().id) == replace(
        third, state="completed", ended_at=now, progress=done, due_at=now + 2 * MINUTE
    )
    assert not await jobs.cancel("acme", job().id, now)
    assert await jobs.backlog(now) == (0, 0.0)


async def test_a_cancelled_job_is_nobodys_and_what_it_left_is_told(ledger: Ledger) -> None:
    jobs, _ = ledger
    await jobs.add(job())
    taken = await jobs.take(NOON + MINUTE, NOON + 2 * MINUTE)
    assert taken is not None
    await jobs.hold(taken, NOON + 2 * MINUTE, Progress(key="k", upload="u"))
    assert await jobs.leftovers(10) == []
    assert await jobs.cancel("acme", taken.id, NOON + MINUTE)
    assert not await jobs.hold(taken, NOON + 3 * MINUTE, Progress())
    assert await jobs.take(NOON + 60 * MINUTE, NOON + 61 * MINUTE) is None
    (left,) = await jobs.leftovers(10)
    assert (left.id, left.progress.upload) == (taken.id, "u")
    await jobs.cleaned(left)
    assert await jobs.leftovers(10) == []
    assert await jobs.ended_before(NOON + MINUTE, 10) == []
    (old,) = await jobs.ended_before(NOON + 2 * MINUTE, 10)
    await jobs.forget(old)
    assert await jobs.get("acme", old.id) is None


async def test_who_has_none_running_comes_first(ledger: Ledger) -> None:
    jobs, _ = ledger
    for one in (job(1), job(2), job(3, "globex")):
        await jobs.add(one)
    now = NOON + 5 * MINUTE
    taken = [await jobs.take(now, now + LEASE) for _ in range(4)]
    assert [one and one.id for one in taken] == [job(1).id, job(3).id, job(2).id, None]


async def test_a_tenant_has_only_so_many_unfinished(ledger: Ledger) -> None:
    jobs, _ = ledger
    assert all([await jobs.add(job(number)) for number in range(MOST_UNFINISHED)])
    assert not await jobs.add(job(99))
    assert await jobs.add(job(99, "globex"))
    assert await jobs.cancel("acme", job(3).id, NOON)
    assert await jobs.add(job(99))


async def test_a_schedule_moves_on_with_the_job_it_orders(ledger: Ledger) -> None:
    jobs, schedules = ledger
    order = replace(ORDER, since=NOON, until=NOON)
    one = Schedule("acme", "daily", "30 12 * * *", "UTC", order, NOON, NOON, check("30 12 * * *", "UTC", NOON))
    assert await schedules.create(one)
    assert not await schedules.create(one)
    assert await schedules.listing("acme") == [one]
    assert await schedules.listing("globex") == []
    assert await schedules.due(NOON, 10) == []
    assert await schedules.due(NOON + 30 * MINUTE, 10) == [one]
    ordered, then = run(one, job(7).id, NOON + 31 * MINUTE)
    assert await schedules.run(ordered, one, then)
    assert not await schedules.run(replace(ordered, id=job(8).id), one, then)
    assert await jobs.page("acme", 10, None) == [ordered]
    assert await schedules.listing("acme") == [then]
    assert not await schedules.pause("globex", "daily", NOON)
    assert await schedules.pause("acme", "daily", NOON)
    assert await schedules.due(NOON + 5000 * MINUTE, 10) == []
    later, beyond = run(then, job(9).id, NOON + 5000 * MINUTE)
    assert not await schedules.run(later, then, beyond)
    assert await schedules.pause("acme", "daily", None)
    assert await schedules.listing("acme") == [then]
    assert not await schedules.delete("globex", "daily")
    assert await schedules.delete("acme", "daily")
    assert not await schedules.delete("acme", "daily")


@pytest.fixture(params=["memory", "moto", "versitygw"])
async def files(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Files]:
    if request.param == "memory":
        yield MemoryFiles()
        return
    if request.param == "versitygw" and s3.program() is None:
        pytest.skip("versitygw is not installed")
    with ExitStack() as stack:
        store = stack.enter_context(s3.moto() if request.param == "moto" else s3.versitygw(tmp_path))
        store.client().create_bucket(Bucket="exports")
        client = S3(Bucket("exports", store.url, "us-east-1", s3.ACCESS, s3.SECRET))
        await client.open()
        yield client
        await client.close()


async def held(files: Files, key: str) -> bytes | None:
    if isinstance(files, MemoryFiles):
        return files.objects.get(key)
    assert isinstance(files, S3)
    return await files.get(key) if key in await files.keys(key) else None


async def test_an_object_in_parts_is_there_once_it_is_finished(files: Files) -> None:
    upload = await files.begin("acme/1/a.csv")
    tags = [await files.part("acme/1/a.csv", upload, 1, b"x" * LEAST_PART)]
    await files.part("acme/1/a.csv", upload, 2, b"of a process that died")
    tags.append(await files.part("acme/1/a.csv", upload, 2, b"end"))
    assert await held(files, "acme/1/a.csv") is None
    await files.finish("acme/1/a.csv", upload, tags)
    assert await held(files, "acme/1/a.csv") == b"x" * LEAST_PART + b"end"
    await files.put("acme/1/b.csv", b"b")
    await files.put("acme/2/c.csv", b"c")
    await files.clear("acme/1/", keep="acme/1/b.csv")
    found = [await held(files, key) for key in ("acme/1/a.csv", "acme/1/b.csv", "acme/2/c.csv")]
    assert found == [None, b"b", b"c"]


async def test_an_upload_that_was_aborted_is_gone(files: Files, request: pytest.FixtureRequest) -> None:
    gone = StoreTrouble if "moto" in request.node.name else UploadGone  # moto answers 500
    upload = await files.begin("a")
    tag = await files.part("a", upload, 1, b"x")
    for _ in range(2):
        await files.abort("a", upload)
    with pytest.raises(gone):
        await files.part("a", upload, 2, b"x")
    with pytest.raises(gone):
        await files.finish("a", upload, [tag])
    assert await held(files, "a") is None


async def test_an_upload_with_another_part_than_was_told_is_gone(files: Files) -> None:
    upload = await files.begin("a")
    tag = await files.part("a", upload, 1, b"x")
    await files.part("a", upload, 1, b"y")
    with pytest.raises(UploadGone):
        await files.finish("a", upload, [tag])
    assert await held(files, "a") is None


async def test_a_signed_url_gives_the_file_by_its_name_and_no_longer_than_it_says(
    files: Files, request: pytest.FixtureRequest
) -> None:
    await files.put("acme/1/a.csv", b"content")
    url = await files.signed("acme/1/a.csv", 60, "results.csv")
    if isinstance(files, MemoryFiles):
        return
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read() == b"content"
        assert 'filename="results.csv"' in answer.headers["content-disposition"]
    if "versitygw" in request.node.name:  # moto looks at no signature
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url.replace("X-Amz-Expires=60", "X-Amz-Expires=6000"), timeout=10)


async def test_without_its_bucket_a_store_says_what_to_do(tmp_path: Path) -> None:
    with s3.moto() as store:
        client = S3(Bucket("nowhere", store.url, "us-east-1", s3.ACCESS, s3.SECRET))
        with pytest.raises(StoreTrouble, match="create the bucket"):
            await client.open()
        with pytest.raises(StoreTrouble, match="create the bucket"):
            await client.begin("a")
        await client.close()
