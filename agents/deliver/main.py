"""The process of one sink: `structured-prompt sink NAME`."""

import asyncio
import gc
import signal

import structlog
import uvloop

from agents.deliver.condition import Condition
from agents.deliver.lag import watch_lag
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from connectors.sinks import SinkParts, sink_parts
from connectors.telemetry.logs import set_up
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.watchdog import Watchdog
from domain.settings import Settings

log = structlog.get_logger("deliver")


def run(settings: Settings, name: str) -> None:
    """Carry records to the sink `name` until SIGTERM or SIGINT.

    Raises InvalidSettings for an unknown sink, Conflict when the metrics port or the member's name is taken.
    """
    set_up(level=settings.log_level, format=settings.log_format, stage=f"sink-{name}")
    uvloop.run(_run(settings, name, sink_parts(settings, name)))


async def _run(settings: Settings, name: str, parts: SinkParts) -> None:
    condition = Condition(name)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, condition.stop)
    server = TelemetryServer(settings.metrics_host, settings.metrics_port, condition.health, parts.metrics.render)
    watchdog = Watchdog()
    port = await server.start()
    watchdog.start()
    watchers = [
        asyncio.ensure_future(watch_loop(parts.metrics)),
        asyncio.ensure_future(watch_lag(parts.source, parts.metrics)),
    ]
    # what the imports made stays; a batch makes tens of thousands of objects, and none of them in a cycle
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    log.info("started", sink=name, metrics_port=port)
    try:
        await deliver(parts.source, parts.sink, parts.producer, Policy(name), parts.metrics, condition)
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        await parts.producer.close()
        await server.close()
        watchdog.stop()
    log.info("stopped", sink=name)
