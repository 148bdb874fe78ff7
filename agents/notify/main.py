"""The process that delivers to tenants: `structured-prompt sink destinations`."""

import asyncio
import os
import signal
import socket
from datetime import UTC, datetime
from importlib.metadata import version

import structlog
import uvloop

from agents.deliver.condition import Condition
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.deliver.watcher import Watcher
from agents.notify.queueing import QueueSink
from agents.notify.sender import Sender, SenderPorts
from agents.notify.upkeep import House, keep_house
from connectors.destinations import Destinations, connect_destinations
from connectors.runtime import calm_collector
from connectors.telemetry.logs import set_up
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.sentry import report_faults
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.watchdog import Watchdog
from domain.accounts.keys import pepper
from domain.health import Check, Health
from domain.settings import Settings

log = structlog.get_logger("notify")
NAME = "destinations"


def utc_now() -> datetime:
    """The clock of this process."""
    return datetime.now(UTC)


def run(settings: Settings) -> None:
    """Deliver until SIGTERM or SIGINT. Raises InvalidSettings, Conflict when the metrics port is taken."""
    set_up(level=settings.log_level, format=settings.log_format, stage=f"sink-{NAME}")
    report_faults(settings.dsn, f"structured-prompt-sink-{NAME}", version("structured-prompt"))
    uvloop.run(_run(settings, pepper(settings.key_pepper.get_secret_value())))


async def _run(settings: Settings, secret: bytes) -> None:
    parts = await connect_destinations(settings)
    ports = SenderPorts(parts.endpoints, parts.deliveries, parts.outlet, parts.metrics, secret, utc_now)
    sender, condition = Sender(ports, settings.deliveries_in_flight), Condition(NAME)
    condition.when_stopping(sender.stop)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, condition.stop)

    def health() -> Health:
        return _health(condition, sender)

    server = TelemetryServer(settings.metrics_host, settings.metrics_port, health, parts.metrics.render)
    watchdog = Watchdog()
    port = await server.start()
    watchdog.start()
    calm_collector()
    log.info("started", sink=NAME, metrics_port=port)
    try:
        async with parts.stack:
            await _serve(parts, sender, condition)
    finally:
        await server.close()
        watchdog.stop()
    log.info("stopped", sink=NAME)


async def _serve(parts: Destinations, sender: Sender, condition: Condition) -> None:
    """Until the stop; a part that ends by a fault ends them all."""
    sink = QueueSink(parts.endpoints, parts.deliveries, utc_now, sender.nudge)
    settings = parts.settings
    house = House(
        parts.endpoints, parts.deliveries, parts.producer, parts.metrics, utc_now, parts.sweep,
        settings.deliveries_waiting, sender.held,
    )  # fmt: skip
    member = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
    watcher = Watcher(NAME, member, parts.source, parts.board, condition, parts.metrics)
    beside = [asyncio.ensure_future(work) for work in (watch_loop(parts.metrics), watcher.keep(), keep_house(house))]
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(sender.run())
            group.create_task(deliver(parts.source, sink, parts.producer, Policy(NAME), parts.metrics, condition))
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


def _health(condition: Condition, sender: Sender) -> Health:
    """Never unhealthy for a dependency that is away: a restart would not help (rule S6)."""
    known = condition.health()
    sends = Check(sender.trouble is None, sender.trouble or "")
    return Health(known.ok, known.ready and sends.ok, {**known.checks, "sender": sends})
