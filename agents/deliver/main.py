"""The process of one sink: `structured-prompt sink NAME`."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version

import structlog
import uvloop

from agents.deliver.auditor import Auditor
from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.deliver.watcher import Watcher
from connectors.runtime import calm_collector, one_arena
from connectors.sinks import SinkParts, connect_audit, connect_board, sink_parts
from connectors.telemetry.logs import set_up
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.sentry import report_faults
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.tracing import tracing as start_tracing
from connectors.telemetry.watchdog import Watchdog
from connectors.traced import traced_sink
from domain.settings import Settings

log = structlog.get_logger("deliver")


def run(settings: Settings, name: str) -> None:
    """Carry records to the sink `name` until SIGTERM or SIGINT.

    Raises InvalidSettings for an unknown sink, Conflict when the metrics port or the member's name is taken.
    """
    one_arena()
    set_up(level=settings.log_level, format=settings.log_format, stage=f"sink-{name}")
    report_faults(settings.dsn, f"structured-prompt-sink-{name}", version("structured-prompt"))
    uvloop.run(_run(settings, name, sink_parts(settings, name)))


async def _run(settings: Settings, name: str, parts: SinkParts) -> None:
    condition = Condition(name)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, condition.stop)
    async with AsyncExitStack() as stack:
        server = TelemetryServer(settings.metrics_host, settings.metrics_port, condition.health, parts.metrics.render)
        port = await server.start()
        stack.push_async_callback(server.close)
        watchdog = Watchdog()
        watchdog.start()
        stack.callback(watchdog.stop)
        stack.push_async_callback(parts.producer.close)
        board = await stack.enter_async_context(connect_board(settings))
        member = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
        watcher = Watcher(name, member, parts.source, board, condition, parts.metrics)
        works = [watch_loop(parts.metrics), watcher.keep()]
        if name == "clickhouse":
            books, bill = await stack.enter_async_context(connect_audit(settings))
            works.append(Auditor(books, bill, parts.metrics, lambda: datetime.now(UTC)).keep())
        for work in works:
            stack.push_async_callback(_ended, asyncio.ensure_future(work))
        calm_collector()
        log.info("started", sink=name, metrics_port=port)
        policy = Policy(name, ways=parts.ways, ordered=parts.ordered, at_once=parts.at_once)
        tracing = start_tracing(settings.otel_endpoint, f"structured-prompt-sink-{name}", version("structured-prompt"))
        stack.push_async_callback(asyncio.to_thread, tracing.close)
        sink = traced_sink(parts.sink, tracing, name)
        await deliver(parts.source, sink, parts.producer, policy, parts.metrics, condition)
    log.info("stopped", sink=name)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
