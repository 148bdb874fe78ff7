"""The small server tells health, readiness and metrics, and names the remedy when its port is taken."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from connectors.memory.metrics import MemoryMetrics
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.telemetry.server import TelemetryServer
from domain.errors import Conflict
from domain.health import Check, Health


class Process:
    """A process with a health that can be changed."""

    def __init__(self) -> None:
        self.health = Health()
        self.metrics = PrometheusMetrics()
        self.server = TelemetryServer("127.0.0.1", 0, lambda: self.health, self.metrics.render)
        self.port = 0

    async def get(self, path: str) -> tuple[int, str, str]:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status, answer.headers["Content-Type"], await answer.text()


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    made = Process()
    made.port = await made.server.start()
    yield made
    await made.server.close()


async def test_a_healthy_process_is_alive_and_ready(process: Process) -> None:
    for path in ("/healthz", "/readyz"):
        status, kind, body = await process.get(path)
        assert (status, kind) == (200, "application/json")
        assert body == '{"ok":true,"ready":true,"checks":{}}'


async def test_a_dead_dependency_is_not_ready_but_alive(process: Process) -> None:
    process.health = Health(ready=False, checks={"redis": Check(False, "no answer")})
    assert (await process.get("/healthz"))[0] == 200
    status, _, body = await process.get("/readyz")
    assert status == 503
    assert '"redis":{"ok":false,"detail":"no answer"}' in body


async def test_a_stuck_process_is_neither(process: Process) -> None:
    process.health = Health(ok=False)
    assert (await process.get("/healthz"))[0] == 503
    assert (await process.get("/readyz"))[0] == 503


async def test_metrics_are_in_the_text_format(process: Process) -> None:
    process.metrics.count("events_in", 3, stage="intake")
    status, kind, body = await process.get("/metrics")
    assert status == 200
    assert kind.startswith("text/plain; version=")
    assert 'structured_prompt_events_in_total{stage="intake"} 3.0' in body


async def test_a_taken_port_is_a_conflict_with_its_remedy(process: Process) -> None:
    second = TelemetryServer("127.0.0.1", process.port, Health, process.metrics.render)
    with pytest.raises(Conflict, match="STRUCTURED_PROMPT_METRICS_PORT"):
        await second.start()


async def test_the_loop_watch_measures_lateness() -> None:
    metrics = MemoryMetrics()
    metrics.gauge("loop_lag_seconds", -1)
    watch = asyncio.create_task(watch_loop(metrics, every_s=0.001))
    while metrics.value("loop_lag_seconds") < 0:
        await asyncio.sleep(0)
    watch.cancel()
    assert metrics.value("loop_lag_seconds") >= 0
    assert metrics.value("loop_tasks") >= 2  # this test and the watch
