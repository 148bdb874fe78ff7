"""How each stage is put together: its handler with what it works with, its sources, its Faust app."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import stamina
import structlog
import uuid_utils

from agents import app as faust_app
from agents.deliver.condition import Condition
from agents.deliver.letters import LetterSink
from agents.deliver.policy import Policy as DeliveryPolicy
from agents.deliver.runner import deliver
from agents.flow import FLOW
from agents.infer.caller import Caller, CallPolicy
from agents.infer.cancelling import keep_listening
from agents.infer.documents import COPIES, Reading, ReadingPorts
from agents.infer.embedding import Embedding, EmbeddingPorts
from agents.infer.handler import Infer
from agents.infer.pacing import Pace
from agents.infer.ports import InferPorts
from agents.infer.purse import Purse
from agents.infer.room import Room
from agents.infer.settler import Settler, SettlerPorts
from agents.infer.similar import Similarity, SimilarPorts
from agents.infer.speech import Speaker
from agents.infer.watching import Watch
from agents.intake.changes import begin_hearing, keep_hearing
from agents.intake.handler import Intake, IntakePorts
from agents.intake.reading import Reader
from agents.lease import LeaseKeeper
from agents.process import Process
from agents.progress import watch_consumer
from agents.source import BatchSource, EachSource, Source
from agents.stage import Stage
from agents.tenants import Tenants
from agents.wake.bookkeeping import Bookkeeper
from agents.wake.lanes import Lanes
from agents.wake.loop import Wake, WakePorts
from agents.wake.republish import Republisher
from agents.wake.waiting import watch_waiting
from connectors import catalog
from connectors.catalog import Outside, utc_now
from connectors.kafka import security
from connectors.kafka.group import GroupObserver
from connectors.traced import traced_model
from domain.accounts.limits import Defaults
from domain.caching.generations import Generations
from domain.errors import Unavailable
from domain.output.recovery import Budget
from domain.ports import Changes
from domain.routing.catalogue import Catalogue
from domain.routing.retry import RetryPolicy
from topics.table import requests_of

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
    lanes = Lanes(outside.ledger, outside.limiter, outside.flights, _tenants(process), utc_now)
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
    settings, outside = process.settings, process.outside
    models = catalog.catalogue(settings, process.environ)
    tenants = _tenants(process)
    changes, generations = outside.changes(), Generations(lambda model: _behind(models, model))
    await _patiently(lambda: begin_hearing(changes, generations))
    process.keep(keep_hearing(changes, generations, outside.metrics))
    preparer = catalog.preparer(settings, models, outside.schemas.find)
    shared = [settings.topic_prefix + topic for topic in FLOW["intake"].reads]
    own = {settings.topic_prefix + requests_of(tenant): tenant for tenant in settings.tenants_with_topics}
    handler = Intake(
        IntakePorts(
            ledger=outside.ledger,
            limiter=outside.limiter,
            cache=outside.near_and_far_cache(),
            tenants=tenants,
            reader=Reader(preparer, tenants, utc_now, process.tracing, generations, own),
            emitter=process.emitter,
            metrics=outside.metrics,
            clock=utc_now,
            content_filter=catalog.content_filter(settings),
        )
    )
    # a source each: a flood on one topic leaves the batches of the others alone
    return [BatchSource(topic, handler) for topic in (*shared, *own)]


async def _infer(process: Process) -> list[Source]:
    settings, outside, metrics = process.settings, process.outside, process.outside.metrics
    models = catalog.catalogue(settings, process.environ)
    retry = RetryPolicy(attempts=settings.max_attempts)
    repair = Budget(settings.repair_syntax, settings.re_asks, settings.escalate)
    policy = CallPolicy(retry, repair, settings.call_timeout_s, slots=settings.infer_slots)
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
        departures=process.departures,
    )
    purse = Purse(outside.budgets, utc_now)
    pace = Pace(outside.pacer, process.lease.incarnation, metrics, utc_now)
    speaker = Speaker(outside.chunks, metrics)
    caller = Caller(traced_model(outside.model(models), process.tracing), policy, metrics, purse, pace, speaker=speaker)
    process.tasks.append(asyncio.ensure_future(keep_listening(outside.ledger, caller)))
    watch = Watch(caller.routes, outside.health, outside.producer, metrics, process.lease.incarnation)
    process.keep(watch.run())
    handler = Infer(
        InferPorts(
            ledger=outside.ledger,
            producer=outside.producer,
            catalogue=models,
            lease=process.lease,
            caller=caller,
            settler=Settler(settler),
            purse=purse,
            tracing=process.tracing,
            clock=utc_now,
            reading=_reading(process, caller),
            similar=await _similar(process, models, purse),
        )
    )
    return [
        EachSource(settings.topic_prefix + topic, handler, settings.infer_slots, share)
        for topic, share in FLOW["infer"].reads.items()
    ]


def _reading(process: Process, caller: Caller) -> Reading:
    settings, most = process.settings, process.settings.fetch_max_mb << 20
    ports = ReadingPorts(
        documents=process.outside.documents(),
        places=settings.places,
        most=most,
        room=Room(max(settings.fetch_memory_mb << 20, COPIES * most)),
        metrics=process.outside.metrics,
        clock=utc_now,
        content_filter=catalog.content_filter(settings),
    )
    return Reading(ports, caller.outside)


async def _similar(process: Process, models: Catalogue, purse: Purse) -> Similarity | None:
    """None, with the reason in the log and in readyz, where nothing can be known in other words."""
    settings, outside = process.settings, process.outside
    embedder = catalog.embedder(settings, process.environ)
    reasons = ["no model turns questions into vectors, see STRUCTURED_PROMPT_EMBEDDINGS"] if embedder is None else []

    async def look() -> None:
        if (lacks := await outside.without_similar()) is not None:
            reasons.append(lacks)

    await _patiently(look)
    if embedder is None or reasons:
        process.off["semantic cache"] = "; ".join(reasons)
        log.warning("semantic_cache_off", reason=process.off["semantic cache"])
        return None
    outside.stack.push_async_callback(embedder.close)
    ttl = timedelta(seconds=settings.cache_ttl_s)
    heard = _heard(process, models)
    embedding = Embedding(EmbeddingPorts(embedder, purse, outside.budgets, outside.metrics))
    return Similarity(SimilarPorts(outside.similar, embedding, heard, outside.metrics, utc_now, ttl))


def _heard(process: Process, models: Catalogue) -> Callable[[], Awaitable[Generations]]:
    """What is out of date: prompt.control is read from the first time on that somebody wants to know."""
    outside, generations = process.outside, Generations(lambda model: _behind(models, model))
    lock, hearing = asyncio.Lock(), False
    changes: Changes | None = None

    async def heard() -> Generations:
        nonlocal changes, hearing
        async with lock:
            if not hearing:
                changes = changes or outside.changes()
                await begin_hearing(changes, generations)
                process.keep(keep_hearing(changes, generations, outside.metrics))
                hearing = True
        return generations

    return heard


def _behind(models: Catalogue, alias: str) -> list[str]:
    """What may answer an alias."""
    return [f"{one.provider}/{one.model}" for one in models.aliases.get(alias, ())]


def _tenants(process: Process) -> Tenants:
    settings = process.settings
    defaults = Defaults(settings.requests_per_minute, settings.burst, settings.lane_in_flight)
    return Tenants(process.outside.accounts, defaults)


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
        process.keep(work)


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


_BUILDERS: Mapping[str, Callable[[Process], Awaitable[list[Source]]]] = {"intake": _intake, "infer": _infer}
