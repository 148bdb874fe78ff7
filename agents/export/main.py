"""The process that makes exports: `structured-prompt sink exports`."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta

import structlog
import uvloop

from agents.export.making import Maker, MakerPorts
from agents.export.upkeep import Upkeep, UpkeepPorts
from connectors.exports import Exporting, connect_exports
from connectors.runtime import calm_collector
from connectors.telemetry.logs import set_up
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.watchdog import Watchdog
from domain.errors import Transient
from domain.health import Check, Health
from domain.settings import Settings

log = structlog.get_logger("export")
NAME = "exports"
LOOK_EVERY_S = 2.0


def utc_now() -> datetime:
    """The clock of this process."""
    return datetime.now(UTC)


def run(settings: Settings) -> None:
    """Make exports until SIGTERM or SIGINT. Raises InvalidSettings, MissingExtra, Conflict for a taken metrics port."""
    set_up(level=settings.log_level, format=settings.log_format, stage=NAME)
    uvloop.run(_run(settings))


class Process:
    """Takes one job after the other. Never unhealthy for a dependency that is away (rule S6)."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._trouble = "not connected yet"

    def health(self) -> Health:
        ready = not self._trouble
        return Health(ready=ready, checks={NAME: Check(ready, self._trouble)})

    async def work(self) -> None:
        """Until cancelled; a job in hand is given back then."""
        while True:
            try:
                found = await self._maker.turn()
                self._trouble = ""
            except Transient as error:
                log.warning("export_waits", what="ledger", reason=str(error))
                found, self._trouble = None, f"waits, nothing is lost: {error}"
            if found is None:
                await asyncio.sleep(LOOK_EVERY_S)


async def _run(settings: Settings) -> None:
    parts = await connect_exports(settings)
    ports = MakerPorts(parts.jobs, parts.exporter, parts.files, parts.accounts, parts.metrics, utc_now)
    process = Process(Maker(ports, settings.export_s3_prefix, settings.sink_answers != "none"))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = TelemetryServer(settings.metrics_host, settings.metrics_port, process.health, parts.metrics.render)
    watchdog = Watchdog()
    port = await server.start()
    watchdog.start()
    calm_collector()
    log.info("started", sink=NAME, metrics_port=port)
    try:
        async with parts.stack:
            await _serve(settings, parts, process, stop)
    finally:
        await server.close()
        watchdog.stop()
    log.info("stopped", sink=NAME)


async def _serve(settings: Settings, parts: Exporting, process: Process, stop: asyncio.Event) -> None:
    """Until the stop; a part that ends by a fault ends the process."""
    kept = timedelta(days=settings.export_days)
    upkeep = Upkeep(UpkeepPorts(parts.jobs, parts.schedules, parts.files, parts.sinks), settings.export_s3_prefix, kept)
    works = (process.work(), upkeep.keep(parts.metrics, utc_now), watch_loop(parts.metrics))
    tasks = [asyncio.ensure_future(work) for work in works]
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    ended = [task for task in tasks if task.done()]
    for task in (stopping, *tasks):
        task.cancel()
    await asyncio.gather(stopping, *tasks, return_exceptions=True)
    for task in ended:
        task.result()
