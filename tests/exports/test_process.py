"""The process of exports on the real engines and a bucket: killed in the middle of an upload, and another goes on."""

import asyncio
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from connectors.clickhouse.answers import store_answers
from connectors.clickhouse.client import ClickHouse, Rows
from connectors.clickhouse.migrate import apply
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.exports import PostgresExportJobs, PostgresExportSchedules
from connectors.postgres.pool import Pool, connect
from connectors.s3.client import S3, Bucket
from domain.accounts.model import Tenant
from domain.exports.job import Job, Order
from domain.exports.schedule import Schedule
from ops.local.environment import clean
from tests import s3
from tests.conftest import Engines
from tests.contract.messages import NOON, item, result
from topics.table import RESULTS

pytestmark = pytest.mark.integration
ROWS, STEP = 60_000, 50_000
TEXT = "x" * 500
LINE = f'{{"id":"r000000","output":"{TEXT}"}}\n'
MOST_MB = 150


@dataclass
class Gate:
    """Before the store: lets so many bytes up, then holds everything until it is opened."""

    target: tuple[str, int]
    left: int

    def __post_init__(self) -> None:
        self.opened = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self.target)
        with suppress(OSError, asyncio.CancelledError):
            await asyncio.gather(self._pump(reader, back, True), self._pump(there, writer, False))
        for one in (writer, back):
            one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up: bool) -> None:
        while data := await reader.read(1 << 16):
            self.left -= len(data) if up else 0
            if self.left < 0:
                await self.opened.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@dataclass
class Stack:
    environ: dict[str, str]
    pool: Pool
    store: s3.Store
    gate: Gate
    log: Path

    @property
    def jobs(self) -> PostgresExportJobs:
        return PostgresExportJobs(self.pool)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        with self.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cli.main", "sink", "exports", env={**clean(os.environ), **self.environ},
                stdout=output, stderr=output,
            )  # fmt: skip
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def job(self, id: str) -> Job:
        found = await self.jobs.get("acme", id)
        assert found is not None
        return found

    async def until(self, happened: Callable[[], Awaitable[bool]]) -> None:
        try:
            async with asyncio.timeout(90):
                while not await happened():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(self.log.read_text()[-3_000:])


@pytest.fixture
async def stack(engines: Engines, database_url: str, clickhouse_url: str, tmp_path: Path) -> AsyncIterator[Stack]:
    with s3.moto() as store:
        store.client().create_bucket(Bucket="exports")
        parts = urlsplit(store.url)
        gate = Gate((parts.hostname or "", parts.port or 0), STEP * len(LINE) + 300_000)
        server = await asyncio.start_server(gate.serve, "127.0.0.1", 0)
        environ = {
            "KAFKA_BOOTSTRAP_SERVERS": engines.kafka,
            "DATABASE_URL": database_url,
            "REDIS_URL": engines.redis_url,
            "CLICKHOUSE_URL": clickhouse_url,
            "STRUCTURED_PROMPT_METRICS_PORT": "0",
            "STRUCTURED_PROMPT_KEY_PEPPER": "p" * 32,
            "STRUCTURED_PROMPT_EXPORT_S3_BUCKET": "exports",
            "STRUCTURED_PROMPT_EXPORT_S3_PREFIX": "given",
            "STRUCTURED_PROMPT_EXPORT_S3_ENDPOINT": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}",
            "STRUCTURED_PROMPT_EXPORT_S3_ACCESS_KEY_ID": s3.ACCESS,
            "STRUCTURED_PROMPT_EXPORT_S3_SECRET_ACCESS_KEY": s3.SECRET,
        }
        pool = await connect(database_url, 2)
        await PostgresAccounts(pool).create_tenant(Tenant("acme", store_answers=True))
        await _fill(clickhouse_url)
        yield Stack(environ, pool, store, gate, tmp_path / "log")
        await pool.close()
        server.close()


async def _fill(url: str) -> None:
    async with ClickHouse(url) as clickhouse:
        await apply(clickhouse)
        await store_answers(clickhouse, "acme", True)
        value = result("NAME", output=TEXT).value
        for at in range(0, ROWS, 20_000):
            values = (value.replace(b"NAME", b"r%06d" % number) for number in range(at, at + 20_000))
            await clickhouse.insert("results_inlet", Rows([item(RESULTS, one).value for one in values]))


def listed(store: s3.Store) -> list[str]:
    return [one["Key"] for one in store.client().list_objects_v2(Bucket="exports").get("Contents", ())]


async def test_killed_in_the_middle_another_process_ends_it_and_gives_the_whole_file(stack: Stack) -> None:
    order = Order("jsonl", NOON - timedelta(hours=1), NOON + timedelta(hours=1), fields=("id", "output"))
    now = datetime.now(UTC)
    id = "exp_" + "7" * 32
    await stack.jobs.add(Job("acme", id, order, now, now))

    async def is_marked() -> bool:
        return (await stack.job(id)).progress.rows == STEP

    async def is_over() -> bool:
        return (await stack.job(id)).ended_at is not None

    async with stack.process():
        await stack.until(is_marked)
    half = await stack.job(id)
    assert (half.state, half.progress.total) == ("running", ROWS)
    assert await asyncio.to_thread(listed, stack.store) == []
    stack.gate.opened.set()
    await stack.pool.fetch("UPDATE export_jobs SET due_at = now() - interval '1 second'")
    async with stack.process() as process:
        await stack.until(is_over)
        rss = psutil.Process(process.pid).memory_info().rss
        await _a_schedule_is_followed(stack)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    assert rss < MOST_MB * 1024 * 1024
    done = await stack.job(id)
    assert (done.state, done.detail, done.fence) == ("completed", "", 2)
    assert done.progress.bytes == ROWS * len(LINE)
    assert done.progress.key in await asyncio.to_thread(listed, stack.store)
    file = await asyncio.to_thread(_fetched, stack, await _signed(stack, done))
    assert [row["id"] for row in map(json.loads, file.splitlines())] == [f"r{n:06}" for n in range(ROWS)]


async def _a_schedule_is_followed(stack: Stack) -> None:
    """Its next run was an hour ago."""
    now = datetime.now(UTC)
    order = Order("csv", now, now, fields=("id",))
    past = now - timedelta(hours=1)
    one = Schedule("acme", "hourly", "0 * * * *", "UTC", order, past, NOON - timedelta(hours=1), past)
    assert await PostgresExportSchedules(stack.pool).create(one)

    async def is_made() -> bool:
        found = [job for job in await stack.jobs.page("acme", 10, None) if job.schedule == "hourly"]
        return bool(found) and found[0].state == "completed" and found[0].progress.rows == ROWS

    await stack.until(is_made)


async def _signed(stack: Stack, job: Job) -> str:
    client = S3(Bucket("exports", stack.store.url, None, s3.ACCESS, s3.SECRET))
    assert job.progress.key is not None
    try:
        return await client.signed(job.progress.key, 60, job.file)
    finally:
        await client.close()


def _fetched(stack: Stack, url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()
