"""The process of all sources: `structured-prompt sources`. One runner for each, which neither waits for the others."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from functools import partial

import structlog
import uvloop

from agents.deliver.condition import Condition
from agents.deliver.feeding import OutputSink, RequestSink
from agents.deliver.policy import Policy
from agents.deliver.runner import deliver
from agents.deliver.watcher import Watcher
from connectors.feeds import Feed, decoder, feeds, producers, sources
from connectors.kafka.producer import KafkaProducer
from connectors.sinks import connect_board
from connectors.telemetry.logs import set_up
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.watchdog import Watchdog
from domain.health import Health
from domain.ports import Producer, Sink
from domain.settings import Settings
from domain.sources.model import Source

log = structlog.get_logger("sources")


def run(settings: Settings, environ: Mapping[str, str]) -> None:
    """Make requests of what sources hold, until SIGTERM or SIGINT.

    Raises InvalidSettings, and Conflict when the metrics port or a member's name is taken.
    """
    set_up(level=settings.log_level, format=settings.log_format, stage="sources")
    found = sources(settings, environ)
    uvloop.run(_run(settings, found, feeds(settings, found)))


async def _run(settings: Settings, found: Mapping[str, Source], reading: list[Feed]) -> None:
    metrics, conditions = PrometheusMetrics(), {feed.name: Condition(feed.name) for feed in reading}
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop, list(conditions.values()))
    async with AsyncExitStack() as stack:
        health = partial(_together, conditions.values())
        server = TelemetryServer(settings.metrics_host, settings.metrics_port, health, metrics.render)
        port = await server.start()
        stack.push_async_callback(server.close)
        watchdog = Watchdog()
        watchdog.start()
        stack.callback(watchdog.stop)
        ours, others = producers(settings)
        stack.push_async_callback(ours.close)
        stack.push_async_callback(others.close)
        board = await stack.enter_async_context(connect_board(settings))
        member = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
        watchers = [Watcher(one.name, member, one.reading, board, conditions[one.name], metrics) for one in reading]
        beside = [asyncio.ensure_future(work) for work in (watch_loop(metrics), *(one.keep() for one in watchers))]
        stack.push_async_callback(_ended, beside)
        log.info("started", sources=sorted(conditions), metrics_port=port)
        async with asyncio.TaskGroup() as carrying:
            for feed in reading:
                sink = _sink(feed, found, ours, others)
                policy, condition = Policy(feed.name), conditions[feed.name]
                _tell(feed, condition)
                carrying.create_task(deliver(feed.reading, sink, ours, policy, metrics, condition))
    log.info("stopped")


def _tell(feed: Feed, condition: Condition) -> None:
    """A bucket that is away is told like a destination that is; Kafka's clients wait for their brokers silently."""
    if feed.objects is not None:
        feed.objects.when_away = lambda reason: condition.troubled("read", f"read: {reason}")
        feed.objects.when_back = partial(condition.well, "read")


def _sink(feed: Feed, found: Mapping[str, Source], ours: Producer, others: KafkaProducer) -> Sink:
    if feed.source is not None:
        return RequestSink(feed.source, ours, decoder(feed.source))
    return OutputSink({one.name: one.output for one in found.values() if one.output is not None}, others)


def _stop(conditions: list[Condition]) -> None:
    for condition in conditions:
        condition.stop()


def _together(conditions: Iterable[Condition]) -> Health:
    """Ready where every one is."""
    found = [condition.health() for condition in conditions]
    checks = {name: check for one in found for name, check in one.checks.items()}
    return Health(ready=all(one.ready for one in found), checks=checks)


async def _ended(tasks: "list[asyncio.Task[None]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
