"""A worker process: builds the connectors, hands them to its stages, serves until it is told to stop."""

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import structlog
import uvloop

from agents import app as faust_app
from agents import building
from agents.departures import Departures
from agents.emit import Emitter
from agents.process import Process
from connectors.catalog import connect_all
from connectors.runtime import calm_collector, one_arena, take_turns_quickly
from connectors.telemetry import logs
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.telemetry.sentry import report_faults
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.tracing import tracing as start_tracing
from connectors.telemetry.watchdog import Watchdog
from domain.settings import Settings

log = structlog.get_logger("worker")


def run(settings: Settings, environ: Mapping[str, str], names: Sequence[str]) -> None:
    """Serve the named stages of the flow; leaves by SystemExit. Raises InvalidSettings before anything starts."""
    logs.set_up(level=settings.log_level, format=settings.log_format, stage=",".join(names))
    report_faults(settings.dsn, f"structured-prompt-{'-'.join(names)}", version("structured-prompt"))
    one_arena()
    take_turns_quickly()
    # a policy, not only a loop: Faust's consumer runs one of its own in a thread
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    process = loop.run_until_complete(_start(settings, environ, names))
    calm_collector()
    log.info("worker_started", stages=list(names))
    if process.apps:
        faust_app.run(process.apps, loop)
    loop.run_until_complete(_wake_alone(process))
    sys.exit(0)


async def _start(settings: Settings, environ: Mapping[str, str], names: Sequence[str]) -> Process:
    metrics = PrometheusMetrics()
    outside = await connect_all(settings, metrics, ",".join(names))
    emitter = Emitter(outside.producer, outside.replies, outside.ledger, metrics)
    service = f"structured-prompt-{'-'.join(names)}"
    tracing = start_tracing(settings.otel_endpoint, service, version("structured-prompt"))
    outside.stack.push_async_callback(asyncio.to_thread, tracing.close)
    departures = Departures(outside.limiter)
    process = Process(settings, environ, outside, emitter, tracing, departures)
    for name in names:
        await building.add(process, name)
    if process.wake is not None and process.apps:
        process.keep(process.wake.run())
    process.watchdog = Watchdog(process.late)
    process.watchdog.start()
    server = TelemetryServer(settings.metrics_host, settings.metrics_port, process.health, metrics.render)
    await server.start()
    outside.stack.push_async_callback(server.close)
    process.tasks.append(asyncio.ensure_future(watch_loop(metrics)))
    return process


async def _wake_alone(process: Process) -> None:
    if process.wake is None:
        return
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, process.wake.stop)
    await process.wake.run()
    await process.close()
