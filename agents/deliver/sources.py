"""The process of all sources: `structured-prompt sources`. One runner for each, which neither waits for the others."""

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
import uvloop

from agents.deliver.answering import Answering
from agents.deliver.condition import Condition
from agents.deliver.feeding import OutputSink, RequestSink
from agents.deliver.keeping import Keeper
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.deliver.shelf import Entry, Shelf
from agents.deliver.watcher import Watcher
from connectors.feeds import Feed, connect_store, decoder, feed, producers, results
from connectors.kafka.producer import KafkaProducer
from connectors.sinks import connect_board
from connectors.source_file import FollowedFile
from connectors.telemetry.logs import set_up
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.watchdog import Watchdog
from domain.accounts.keys import pepper
from domain.health import Health
from domain.ports import BatchSource, Sink, SinkBoard, SourceFile
from domain.settings import Settings
from domain.sources.model import Source

log = structlog.get_logger("sources")


def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make requests of what sources hold, until SIGTERM or SIGINT.

    Raises InvalidSettings, and Conflict when the metrics port or a member's name is taken.
    """
    set_up(level=settings.log_level, format=settings.log_format, stage="sources")
    uvloop.run(_run(settings, FollowedFile(settings.sources, environ)))


async def _run(settings: Settings, file: SourceFile) -> None:
    metrics = PrometheusMetrics()
    async with AsyncExitStack() as stack:
        board = await stack.enter_async_context(connect_board(settings))
        store = await stack.enter_async_context(connect_store(settings))
        member = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
        keeper = Keeper(member, board)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, keeper.stop)
        looking = Condition("sources")
        ours, others = producers(settings)
        stack.push_async_callback(ours.close)
        stack.push_async_callback(others.close)
        line = _Line(settings, member, board, ours, others, metrics)
        shelf = Shelf(file, store, lambda: pepper(settings.key_pepper.get_secret_value()), line.carry, looking)
        line.look, line.outputs = shelf.look, shelf.outputs
        server = TelemetryServer(
            settings.metrics_host, settings.metrics_port, lambda: _together([looking, *keeper.conditions]),
            metrics.render,
        )  # fmt: skip
        port = await server.start()
        stack.push_async_callback(server.close)
        watchdog = Watchdog()
        watchdog.start()
        stack.callback(watchdog.stop)
        stack.push_async_callback(_ended, asyncio.ensure_future(watch_loop(metrics)))
        keeper.follow(shelf.wanted())
        log.info("started", sources=keeper.names, metrics_port=port)
        await keeper.keep(shelf.turn)
    log.info("stopped")


@dataclass
class _Line:
    """Carries one source, or the results of all, until it is told to stop."""

    settings: Settings
    member: str
    board: SinkBoard
    ours: KafkaProducer
    others: KafkaProducer
    metrics: PrometheusMetrics
    look: Callable[[], Awaitable[None]] | None = None
    outputs: Mapping[str, str | None] | None = None

    async def carry(self, entry: Entry, condition: Condition) -> None:
        """`entry` gives the source, None for the results. Raises MissingExtra, and what `entry` raises."""
        source = entry()
        sink = self._sink(source)
        fed = results(self.settings) if source is None else feed(self.settings, source)
        reading = self._with_output(fed)
        watcher = Watcher(fed.name, self.member, reading, self.board, condition, self.metrics)
        beside = asyncio.ensure_future(watcher.keep())
        try:
            await deliver(reading, sink, self.ours, Policy(fed.name), self.metrics, condition)
        finally:
            await _ended(beside)
            watcher.left()

    def _with_output(self, fed: Feed) -> BatchSource:
        output = fed.source.output if fed.source else None
        return fed.reading if output is None else Answering(fed.reading, output, self.others.objection)

    def _sink(self, source: Source | None) -> Sink:
        if source is not None:
            return RequestSink(source, self.ours, decoder(source))
        return OutputSink(self.outputs or {}, self.others, self.look, self.others.objection)


def _together(conditions: Iterable[Condition]) -> Health:
    """Ready where every one is."""
    found = [condition.health() for condition in conditions]
    checks = {name: check for one in found for name, check in one.checks.items()}
    return Health(ready=all(one.ready for one in found), checks=checks)


async def _ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
