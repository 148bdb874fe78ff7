"""How the handlers of the stages are put together: each with what it works with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import stamina
import structlog
import uuid_utils

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
from agents.tenants import Tenants
from connectors import catalog
from connectors.catalog import utc_now
from connectors.traced import traced_model
from domain.accounts.limits import Defaults
from domain.caching.generations import Generations
from domain.errors import Unavailable
from domain.output.recovery import Budget
from domain.ports import Changes
from domain.routing.catalogue import Catalogue
from domain.routing.retry import RetryPolicy
from domain.settings import Settings
from topics.table import requests_of

log = structlog.get_logger("worker")


async def intake(process: Process) -> Intake:
    """The handler of requests, of the shared topic and of tenants' own."""
    settings, outside = process.settings, process.outside
    models = catalog.catalogue(settings, process.environ)
    tenants = tenants_of(process)
    changes, generations = outside.changes(), Generations(lambda model: _behind(models, model))
    await _patiently(lambda: begin_hearing(changes, generations))
    process.keep(keep_hearing(changes, generations, outside.metrics))
    preparer = catalog.preparer(settings, models, outside.schemas.find)
    return Intake(
        IntakePorts(
            ledger=outside.ledger,
            limiter=outside.limiter,
            cache=outside.near_and_far_cache(),
            tenants=tenants,
            reader=Reader(preparer, tenants, utc_now, process.tracing, generations, own_topics(settings)),
            emitter=process.emitter,
            metrics=outside.metrics,
            clock=utc_now,
            content_filter=catalog.content_filter(settings),
        )
    )


async def infer(process: Process) -> Infer:
    """The handler of calls; the process holds a lease from here on."""
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
    return Infer(
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


def own_topics(settings: Settings) -> Mapping[str, str]:
    """The topics of requests that belong to one tenant each, and to whom."""
    return {settings.topic_prefix + requests_of(tenant): tenant for tenant in settings.tenants_with_topics}


def tenants_of(process: Process) -> Tenants:
    """Who may send, with the settings' limits where they have none of their own."""
    settings = process.settings
    defaults = Defaults(settings.requests_per_minute, settings.burst, settings.lane_in_flight)
    return Tenants(process.outside.accounts, defaults)


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


async def _patiently(work: Callable[[], Awaitable[None]]) -> None:
    """A dependency that starts beside us gets a minute."""
    async for trial in stamina.retry_context(on=Unavailable, attempts=None, timeout=60.0, wait_max=2.0):
        with trial:
            await work()
