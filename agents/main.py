"""A worker process: builds the connectors, hands them to its stages, serves until it is told to stop."""

import asyncio
import gc
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import stamina
import structlog
import uuid_utils
import uvloop

from agents import app as faust_app
from agents.deliver.condition import Condition
from agents.deliver.letters import LetterSink
from agents.deliver.policy import Policy as DeliveryPolicy
from agents.deliver.runner import deliver
from agents.emit import Emitter
from agents.flow import FLOW
from agents.infer.caller import Caller, CallPolicy
from agents.infer.cancelling import keep_listening
from agents.infer.handler import Infer, InferPorts
from agents.infer.settler import Settler, SettlerPorts
from agents.intake.handler import Intake, IntakePorts
from agents.intake.reading import Reader
from agents.intake.tenants import Defaults, Tenants
from agents.lateness import lateness
from agents.lease import LeaseKeeper
from agents.progress import watch_consumer
from agents.stage import BatchSource, EachSource, Source, Stage
from agents.wake.loop import Wake, WakePorts
from agents.wake.republish import Republisher
from agents.wake.waiting import watch_waiting
from connectors import catalog
from connectors.catalog import Outside, connect_all, utc_now
from connectors.kafka import security
from connectors.kafka.group import GroupObserver
from connectors.telemetry import logs
from connectors.telemetry.loop import watch_loop
from connectors.telemetry.metrics import PrometheusMetrics
from connectors.telemetry.server import TelemetryServer
from connectors.telemetry.tracing import tracing as start_tracing
from connectors.telemetry.watchdog import Late, Watchdog, leave
from domain.errors import Unavailable
from domain.health import Check, Health
from domain.output.recovery import Budget
from domain.routing.retry import RetryPolicy
from domain.settings import Settings
from domain.tracing import Tracing

log = structlog.get_logger("worker")
UPKEEP_EVERY = 3600.0
_REMEDY = "deploy a version without the fault, then redrive the dead letters it left"


@dataclass(slots=True)
class Process:
    """What one worker process is made of."""

    settings: Settings
    environ: Mapping[str, str]
    outside: Outside
    emitter: Emitter
    tracing: Tracing
    stages: list[Stage] = field(default_factory=list)
    apps: list[faust_app.StageApp] = field(default_factory=list)
    lease: LeaseKeeper | None = None
    wake: Wake | None = None
    letters: Condition | None = None
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    watchdog: Watchdog | None = None

    def health(self) -> Health:
        """Whether it turns, and whether it may be given work."""
        trouble = self.watchdog.trouble if self.watchdog else None
        checks = {"progress": Check(trouble is None, trouble or "")}
        for stage in self.stages:
            said = f"halted, nothing is lost: {stage.halted}; {_REMEDY}" if stage.halted else ""
            checks[stage.policy.name] = Check(stage.halted is None, said or f"{len(stage.running)} in hand")
        if self.lease is not None:
            checks["lease"] = Check(self.lease.fresh, "" if self.lease.fresh else "not renewed: is PostgreSQL away?")
        if self.letters is not None:
            checks |= self.letters.health().checks
        return Health(
            # a halted stage is alive: started anew, the same version would bury as many again (rule S6)
            ok=trouble is None,
            ready=all(check.ok for check in checks.values()),
            checks=checks,
        )

    def late(self) -> Late:
        """The latest piece of work, for the watchdog."""
        parts = [(stage, app.progress) for stage, app in zip(self.stages, self.apps, strict=True)]
        return Late(*lateness(parts, self.lease, self.wake, time.monotonic()))

    async def close(self) -> None:
        if self.letters is not None:
            self.letters.stop()
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=2.0)
        await self.emitter.close()
        if self.lease is not None:
            await self.lease.stop()
        if self.watchdog is not None:
            self.watchdog.stop()
        await self.outside.stack.aclose()


def run(settings: Settings, environ: Mapping[str, str], names: Sequence[str]) -> None:
    """Serve the named stages of the flow; leaves by SystemExit. Raises InvalidSettings before anything starts."""
    logs.set_up(level=settings.log_level, format=settings.log_format, stage=",".join(names))
    # the event loop gives up the interpreter lock at every socket call; the consumer's thread must not keep it for 5 ms
    sys.setswitchinterval(0.0005)
    # a policy, not only a loop: Faust's consumer runs one of its own in a thread
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    process = loop.run_until_complete(_start(settings, environ, names))
    # thousands of requests in flight are alive, not garbage: by default walking them takes a quarter of infer's CPU
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    log.info("worker_started", stages=list(names))
    if process.apps:
        faust_app.run(process.apps, loop)
    loop.run_until_complete(_wake_alone(process))
    sys.exit(0)


async def _start(settings: Settings, environ: Mapping[str, str], names: Sequence[str]) -> Process:
    metrics = PrometheusMetrics()
    outside = await connect_all(settings, metrics, ",".join(names))
    ledger = outside.ledger
    emitter = Emitter(outside.producer, outside.replies, ledger, metrics)
    service = f"structured-prompt-{'-'.join(names)}"
    tracing = start_tracing(settings.otel_endpoint, service, version("structured-prompt"))
    outside.stack.callback(tracing.close)
    process = Process(settings, environ, outside, emitter, tracing)
    builders: dict[str, Callable[[Process], Awaitable[list[Source]]]] = {"intake": _intake, "infer": _infer}
    for name in names:
        if name == "wake":
            process.wake = Wake(WakePorts(ledger, outside.producer, emitter, metrics, utc_now))
            process.tasks.append(asyncio.ensure_future(_keep_up(outside)))
            _keep_letters(process)
        else:
            _add_stage(process, name, await builders[name](process))
    if process.wake is not None and process.apps:
        waking = asyncio.ensure_future(process.wake.run())
        waking.add_done_callback(_never_silently)
        process.tasks.append(waking)
    process.watchdog = Watchdog(process.late)
    process.watchdog.start()
    server = TelemetryServer(settings.metrics_host, settings.metrics_port, process.health, metrics.render)
    await server.start()
    outside.stack.push_async_callback(server.close)
    process.tasks.append(asyncio.ensure_future(watch_loop(metrics)))
    return process


def _add_stage(process: Process, name: str, sources: list[Source]) -> None:
    settings = process.settings
    policy = FLOW[name].policy.with_drain(settings.drain_s)
    if name == "infer":
        # a delivery is one call and its re-asks, or waits for another delivery of the same request
        policy = policy.with_task_limit(2 * (settings.re_asks + 1) * settings.call_timeout_s + 60.0)
    stage = Stage(policy, sources, process.outside.metrics)
    stage.when_stuck = _stop_in_order
    user, password = security.credentials(settings)
    broker = faust_app.Broker(
        settings.kafka,
        f"{settings.worker_name}.{name}" if settings.worker_name else None,
        settings.kafka_security_protocol,
        security.tls(settings),
        settings.kafka_sasl_mechanism,
        user,
        password,
    )
    group = f"{settings.topic_prefix}structured-prompt.{name}"
    first = not process.apps

    async def boot() -> None:
        observer = GroupObserver(security.aiokafka(settings), group, [source.topic for source in sources])
        process.outside.stack.push_async_callback(observer.close)
        watch = watch_consumer(app, settings.topic_prefix, observer.look)
        process.tasks.append(asyncio.ensure_future(watch))

    async def shutdown() -> None:
        if first:
            await process.close()

    app = faust_app.build(group, broker, stage, boot, shutdown)
    process.stages.append(stage)
    process.apps.append(app)


async def _intake(process: Process) -> list[Source]:
    settings, outside = process.settings, process.outside
    models = catalog.catalogue(settings, process.environ)
    tenants = Tenants(outside.accounts, Defaults(settings.requests_per_minute, settings.burst))
    handler = Intake(
        IntakePorts(
            ledger=outside.ledger,
            limiter=outside.limiter,
            cache=outside.near_and_far_cache(),
            tenants=tenants,
            reader=Reader(catalog.preparer(settings, models), tenants, utc_now, process.tracing),
            emitter=process.emitter,
            metrics=outside.metrics,
            clock=utc_now,
        )
    )
    return [BatchSource(settings.topic_prefix + topic, handler) for topic in FLOW["intake"].reads]


async def _infer(process: Process) -> list[Source]:
    settings, outside, metrics = process.settings, process.outside, process.outside.metrics
    models = catalog.catalogue(settings, process.environ)
    retry = RetryPolicy(attempts=settings.max_attempts)
    repair = Budget(settings.repair_syntax, settings.re_asks, settings.escalate)
    policy = CallPolicy(retry, repair, settings.call_timeout_s)
    process.lease = LeaseKeeper(outside.ledger, str(uuid_utils.uuid7()), "infer", metrics)
    await _patiently(process.lease.start)
    settler = SettlerPorts(
        ledger=outside.ledger,
        producer=outside.producer,
        cache=outside.far_cache,
        emitter=process.emitter,
        metrics=metrics,
        clock=utc_now,
        cache_ttl=timedelta(seconds=settings.cache_ttl_s),
    )
    caller = Caller(outside.model(models), policy, metrics, utc_now)
    process.tasks.append(asyncio.ensure_future(keep_listening(outside.ledger, caller)))
    handler = Infer(
        InferPorts(
            ledger=outside.ledger,
            producer=outside.producer,
            catalogue=models,
            lease=process.lease,
            caller=caller,
            settler=Settler(settler),
            tracing=process.tracing,
            clock=utc_now,
        )
    )
    return [
        EachSource(settings.topic_prefix + topic, handler, max(1, int(settings.infer_slots * share)))
        for topic, share in FLOW["infer"].reads.items()
    ]


async def _patiently(work: Callable[[], Awaitable[None]]) -> None:
    """A dependency that starts beside us gets a minute."""
    async for trial in stamina.retry_context(on=Unavailable, attempts=None, timeout=60.0, wait_max=2.0):
        with trial:
            await work()


def _keep_letters(process: Process) -> None:
    """Dead letters come into their table, and those redriven as records go out again; who waits is counted."""
    outside = process.outside
    process.letters = Condition("dead-letters")
    sink = LetterSink(outside.letters, process.settings.topic_prefix)
    policy = DeliveryPolicy("dead-letters", longest_wait_s=5.0)
    storing = deliver(outside.letter_source(), sink, outside.producer, policy, outside.metrics, process.letters)
    publishing = Republisher(outside.letters, outside.producer, outside.metrics).run()
    for work in (storing, publishing, watch_waiting(outside.queues, outside.metrics)):
        task = asyncio.ensure_future(work)
        task.add_done_callback(_never_silently)
        process.tasks.append(task)


async def _keep_up(outside: Outside) -> None:
    """Once an hour, in every wake process: it may be repeated and several may do it at once."""
    while True:
        try:
            await outside.upkeep(utc_now().date())
        except Unavailable as error:
            log.warning("upkeep_failed", reason=str(error))
        await asyncio.sleep(UPKEEP_EVERY)


def _stop_in_order(reason: str) -> None:
    """Of a delivery that can neither be finished nor buried: finish the others, and let the next process try (S5)."""
    log.critical("stuck", reason=reason)
    os.kill(os.getpid(), signal.SIGTERM)


def _never_silently(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        leave(f"wake ended: {error!r}")


async def _wake_alone(process: Process) -> None:
    if process.wake is None:
        return
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, process.wake.stop)
    await process.wake.run()
    await process.close()
