"""How each stage is put together: its handler, its sources, its Faust app."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping

import structlog

from agents import app as faust_app
from agents import handlers
from agents.deliver.condition import Condition
from agents.deliver.letters import LetterSink
from agents.deliver.policy import Policy as DeliveryPolicy
from agents.deliver.runner import deliver
from agents.flow import FLOW
from agents.lease import LeaseKeeper
from agents.process import Process
from agents.progress import watch_consumer
from agents.source import BatchSource, EachSource, Source
from agents.stage import Stage
from agents.wake.bookkeeping import Bookkeeper
from agents.wake.lanes import Lanes
from agents.wake.loop import Wake, WakePorts
from agents.wake.republish import Republisher
from agents.wake.waiting import watch_waiting
from connectors.catalog import Outside, utc_now
from connectors.kafka import security
from connectors.kafka.group import GroupObserver
from domain.errors import Unavailable

log = structlog.get_logger("worker")
UPKEEP_EVERY = 3600.0


async def add(process: Process, name: str) -> None:
    """Give the process a stage of the flow. Raises Unavailable when what it needs is away for a minute."""
    if name == "wake":
        _add_wake(process)
    else:
        _add_stage(process, name, await _BUILDERS[name](process))


def _add_wake(process: Process) -> None:
    outside = process.outside
    lanes = Lanes(outside.ledger, outside.limiter, outside.flights, handlers.tenants_of(process), utc_now)
    ports = WakePorts(
        outside.ledger, outside.producer, process.emitter, outside.metrics, utc_now, lanes, process.departures
    )
    process.wake = Wake(ports)
    process.tasks.append(asyncio.ensure_future(_keep_up(outside)))
    process.keep(Bookkeeper(outside.budgets, outside.producer, outside.metrics).run())
    _keep_letters(process)


def _add_stage(process: Process, name: str, sources: list[Source]) -> None:
    settings = process.settings
    policy = FLOW[name].policy.with_drain(settings.drain_s)
    if name == "infer":
        # a delivery is one call and its re-asks, or waits for another delivery of the same request
        policy = policy.with_task_limit(2 * (settings.re_asks + 1) * settings.call_timeout_s + 60.0)
    stage = Stage(policy, sources, process.outside.metrics)
    stage.when_stuck = _stop_in_order
    if name == "infer" and process.lease is not None:
        process.keep(_give_back(stage, process.lease))
    user, password = security.credentials(settings)
    broker = faust_app.Broker(
        settings.kafka,
        f"{settings.worker_name}.{name}" if settings.worker_name else None,
        settings.kafka_security_protocol,
        security.tls(settings),
        settings.kafka_sasl_mechanism,
        user,
        password,
        security.tokens(settings),
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
    settings, handler = process.settings, await handlers.intake(process)
    shared = [settings.topic_prefix + topic for topic in FLOW["intake"].reads]
    # a source each: a flood on one topic leaves the batches of the others alone
    return [BatchSource(topic, handler) for topic in (*shared, *handlers.own_topics(settings))]


async def _infer(process: Process) -> list[Source]:
    settings, handler = process.settings, await handlers.infer(process)
    return [
        EachSource(settings.topic_prefix + topic, handler, settings.infer_slots, share)
        for topic, share in FLOW["infer"].reads.items()
    ]


def _keep_letters(process: Process) -> None:
    """Dead letters come into their table, and those redriven as records go out again; who waits is counted."""
    outside = process.outside
    process.letters = Condition("dead-letters")
    sink = LetterSink(outside.letters, process.settings.topic_prefix)
    policy = DeliveryPolicy("dead-letters", longest_wait_s=5.0)
    storing = deliver(outside.letter_source(), sink, outside.producer, policy, outside.metrics, process.letters)
    publishing = Republisher(outside.letters, outside.producer, outside.metrics).run()
    for work in (storing, publishing, watch_waiting(outside.queues, outside.metrics)):
        process.keep(work)


async def _keep_up(outside: Outside) -> None:
    """Once an hour, in every wake process: it may be repeated and several may do it at once."""
    while True:
        try:
            await outside.upkeep(utc_now().date())
        except Unavailable as error:
            log.warning("upkeep_failed", reason=str(error))
        await asyncio.sleep(UPKEEP_EVERY)


async def _give_back(stage: Stage, lease: LeaseKeeper) -> None:
    """A stage that has halted takes up nothing more: what failed in its hands is for others, its deadlines and
    cancellations for wake, and none of them touches what is under a lease (rules L6 and S6)."""
    await stage.over()
    await lease.stop()


def _stop_in_order(reason: str) -> None:
    """Of a delivery that can neither be finished nor buried: finish the others, and let the next process try (S5)."""
    log.critical("stuck", reason=reason)
    os.kill(os.getpid(), signal.SIGTERM)


_BUILDERS: Mapping[str, Callable[[Process], Awaitable[list[Source]]]] = {"intake": _intake, "infer": _infer}
