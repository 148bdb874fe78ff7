"""The process of one sink: `structured-prompt sink NAME`."""

import asyncio
import signal

import structlog
import uvloop

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.watchdog import Watchdog
from connectors import catalog
from connectors.telemetry.logs import set_up
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.server import TelemetryServer
from domain.settings import Settings

log = structlog.get_logger("deliver")


def run(settings: Settings, name: str) -> None:
    """Carry records to the sink `name` until SIGTERM or SIGINT. Raises InvalidSettings for an unknown sink."""
    set_up(level=settings.log_level, format=settings.log_format, stage=f"sink-{name}")
    uvloop.run(_run(settings, name))


async def _run(settings: Settings, name: str) -> None:
    parts = catalog.sink_parts(settings, name)
    condition = Condition(name)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, condition.stop)
    server = TelemetryServer(settings.metrics_host, settings.metrics_port, condition.health, parts.render)
    watchdog = Watchdog(oldest=lambda: -1.0)
    lateness = asyncio.ensure_future(watch_loop(parts.metrics))
    try:
        port = await server.start()
        watchdog.start()
        log.info("started", sink=name, metrics_port=port)
        await deliver(parts.source, parts.sink, parts.producer, Policy(name), parts.metrics, condition)
    finally:
        watchdog.stop()
        lateness.cancel()
        await parts.close()
        await server.close()
    log.info("stopped", sink=name)
