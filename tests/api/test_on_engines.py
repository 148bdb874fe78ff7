"""The served API on the real engines, over real HTTP."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest

from api import main
from connectors.clickhouse import migrate as clickhouse
from connectors.kafka import admin, security
from connectors.kafka.consumer import BatchConsumer, Bounds
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.ledger import PostgresLedger
from connectors.postgres.pool import connect
from connectors.redis.client import RedisClient
from connectors.redis.replies import RedisReplies
from domain.accounts import keys
from domain.accounts.model import Tenant
from domain.errors import Conflict
from domain.settings import Settings
from tests.api.door import ASK, PEPPER, Door, Line, assert_problem
from tests.conftest import Engines
from topics.table import REQUESTS, TABLE

pytestmark = pytest.mark.integration


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ISSUED = keys.issue("acme", "test", PEPPER, datetime.now(UTC))


@pytest.fixture
def settings(engines: Engines, database_url: str, redis_url: str, clickhouse_url: str, topic_prefix: str) -> Settings:
    settings = Settings(
        kafka=engines.kafka, database_url=database_url, redis_url=redis_url, clickhouse_url=clickhouse_url,
        topic_prefix=topic_prefix, replication=1, key_pepper=PEPPER.decode(), api_port=free_port(), metrics_port=0,
        simulated_provider_url="http://127.0.0.1:1/v1",
    )  # fmt: skip
    admin.apply(settings, TABLE)
    clickhouse.upgrade(clickhouse_url)
    return settings


@asynccontextmanager
async def _served(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    stop = asyncio.Event()
    headers = {"authorization": f"Bearer {ISSUED.secret}"}
    address = f"http://{settings.api_host}:{settings.api_port}"
    async with main.connected(settings, os.environ) as ports:
        serving = asyncio.create_task(main.serve(ports, settings, stop))
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=20) as client:
            await _until_answering(client)
            yield client
        stop.set()
        await serving


async def _until_answering(client: httpx.AsyncClient) -> None:
    for _ in range(200):
        try:
            await client.get("/healthz")
        except httpx.TransportError:
            await asyncio.sleep(0.02)
        else:
            return
    raise AssertionError("the API does not answer")


@asynccontextmanager
async def _line(settings: Settings) -> AsyncIterator[Line]:
    """A tenant with a key, and somebody who answers."""
    pool = await connect(settings.database_url.get_secret_value(), 2)
    redis = RedisClient(settings.redis_url.get_secret_value())
    accounts = PostgresAccounts(pool)
    await accounts.create_tenant(Tenant("acme"))
    await accounts.create_key(ISSUED.key)
    bounds = Bounds(rows=100, seconds=0.05)
    source = BatchConsumer(
        security.librdkafka(settings), (REQUESTS,), "structured-prompt.intake", bounds, prefix=settings.topic_prefix
    )
    line = Line(source, PostgresLedger(pool), RedisReplies(redis), Door().preparer)
    work = asyncio.create_task(line.run())
    try:
        yield line
    finally:
        source.stop()
        await asyncio.wait_for(work, 20)
        await source.close()
        await redis.close()
        await pool.close()


async def test_a_prompt_goes_through_kafka_and_comes_back(settings: Settings) -> None:
    async with _line(settings) as line, _served(settings) as client:
        response = await client.post("/v1/analyze", json={**ASK, "id": "a"})
        assert (response.status_code, response.json()["id"]) == (200, "a")
        again = await client.post("/v1/analyze", json={**ASK, "id": "a"})
        assert again.content == response.content
        assert_problem(await client.post("/v1/analyze", json={"prompt": "Other", "id": "a"}), 422, "id_conflict")
        job = (await client.get("/v1/jobs/a")).json()
        assert (job["status"], job["run"]) == ("completed", 1)
        assert (await client.get("/v1/jobs/a/result")).content == response.content
        assert line.claims == 1


async def test_keys_jobs_usage_and_readiness_work_together(settings: Settings) -> None:
    async with _line(settings), _served(settings) as client:
        key = {"idempotency-key": "k-1"}
        first = await client.post("/v1/analyze/async", json=ASK, headers=key)
        second = await client.post("/v1/analyze/async", json=ASK, headers=key)
        assert (first.status_code, first.content) == (202, second.content)
        other = await client.post("/v1/analyze/async", json={"prompt": "Other"}, headers=key)
        assert_problem(other, 422, "id_conflict")
        listed = (await client.get("/v1/jobs")).json()["items"]
        assert first.json()["id"] in [job["id"] for job in listed]
        assert (await client.get("/v1/usage")).json() == {"items": [], "next_cursor": None}
        ready = (await client.get("/readyz")).json()
        assert ready["ready"], ready
        assert set(ready["checks"]) == {"kafka", "postgres", "redis", "clickhouse"}
        assert "structured_prompt_http_requests_total" in (await client.get("/metrics")).text


async def test_many_at_once_each_get_their_own_answer(settings: Settings) -> None:
    async with _line(settings), _served(settings) as client:
        ids = [f"many-{n}" for n in range(40)]
        answers = await asyncio.gather(*(client.post("/v1/analyze", json={**ASK, "id": id}) for id in ids))
    assert [answer.status_code for answer in answers] == [200] * 40
    assert [answer.json()["id"] for answer in answers] == ids


async def test_a_body_above_the_limit_is_told_so(settings: Settings) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(80):
            yield b"x" * 65_536

    async with _line(settings), _served(settings) as client:
        assert_problem(await client.post("/v1/analyze", content=b"x" * 5_000_000), 413, "too_large")
        assert_problem(await client.post("/v1/analyze", content=chunks()), 413, "too_large")
        strange = {"authorization": "Bearer nobody"}
        refused = await client.post("/v1/analyze", content=b"x" * 900_000, headers=strange)
        assert_problem(refused, 401, "unauthenticated")
        assert (await client.get("/v1/models")).status_code == 200


async def test_D1_a_dead_broker_is_a_503_within_two_seconds(settings: Settings) -> None:
    dead = settings.model_copy(update={"kafka": f"127.0.0.1:{free_port()}"})
    async with _line(settings) as line:
        async with _served(dead) as client:
            await client.get("/v1/models")
            started = time.monotonic()
            body = assert_problem(await client.post("/v1/analyze", json=ASK), 503, "unavailable")
            assert time.monotonic() - started < 2.0
            assert (await client.get("/readyz")).status_code == 503
        retried = settings.model_copy(update={"api_port": free_port()})
        async with _served(retried) as client:
            again = await client.post("/v1/analyze", json={**ASK, "id": body["id"]})
            assert (again.status_code, again.json()["id"]) == (200, body["id"])
        assert line.claims == 1


async def test_a_dead_database_is_a_503_within_two_seconds(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()
    dead = Settings.model_validate(
        {**settings.model_dump(), "database_url": url.replace(f":{urlsplit(url).port}/", f":{free_port()}/")}
    )
    async with _served(dead) as client:
        started = time.monotonic()
        assert_problem(await client.post("/v1/analyze", json=ASK), 503, "unavailable")
        assert time.monotonic() - started < 2.0


async def test_a_dead_redis_costs_nobody_an_answer(settings: Settings) -> None:
    dead = Settings.model_validate({**settings.model_dump(), "redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    async with _line(settings), _served(dead) as client:
        assert (await client.post("/v1/analyze", json=ASK)).status_code == 200
        assert (await client.get("/readyz")).status_code == 200


async def test_a_taken_port_is_refused_with_the_remedy(settings: Settings) -> None:
    async with _served(settings):
        with pytest.raises(Conflict, match="STRUCTURED_PROMPT_API_PORT"):
            main.claim_port(settings.api_host, settings.api_port)


async def test_a_change_over_http_leaves_its_row_in_the_same_database(settings: Settings) -> None:
    async with _line(settings), _served(settings) as client:
        for dollars in ("5", "7"):
            answer = await client.put("/v1/budgets/all", json={"limit_usd": dollars})
            assert answer.is_success
        gone = await client.delete("/v1/budgets/all")
        rows = (await client.get("/v1/audit", params={"id": "all"})).json()["items"]
        assert [row["action"] for row in rows] == ["budget.delete", "budget.put", "budget.put"]
        assert rows[0]["request_id"] == gone.headers["x-request-id"]
        assert rows[0]["actor"] == {"kind": "key", "key_id": ISSUED.key.id}
        assert rows[0]["before"] == rows[1]["after"]
        assert rows[0]["address"] == "127.0.0.1"
