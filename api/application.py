"""The FastAPI application, put together from its ports."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from fastapi import APIRouter, FastAPI

from api import docs, documentation
from api.analyze import routes as analyze_routes
from api.analyze.marks import Marks
from api.analyze.service import Analyze
from api.analyze.submission import Reader
from api.analyze.sweeper import keep_sweeping
from api.analyze.waiters import Heard, Waiters
from api.audit import routes as audit_routes
from api.audit.service import AuditReader
from api.budgets import routes as budgets_routes
from api.budgets.service import BudgetKeeper
from api.cache import routes as cache_routes
from api.cache.service import Cache, CachePorts
from api.dead_letters import routes as letters_routes
from api.dead_letters.service import DeadLetters
from api.destinations import routes as destinations_routes
from api.destinations.service import DestinationKeeper
from api.exports import routes as exports_routes
from api.exports.jobs import Bucket, JobKeeper
from api.exports.service import Exports
from api.health import routes as health_routes
from api.health.service import Readiness
from api.jobs import routes as jobs_routes
from api.jobs.cancelling import Canceller
from api.jobs.service import JobReader
from api.layers import HANDLERS, Layered, defaults, layers
from api.limits import plans as limits_plans
from api.limits import routes as limits_routes
from api.limits import setting as limits_setting
from api.limits.glance import Glance
from api.limits.keeper import LimitKeeper
from api.limits.plans import PlanKeeper
from api.limits.service import LimitReader
from api.models import routes as models_routes
from api.models.service import listing
from api.openai import routes as openai_routes
from api.openai.routes import Completions
from api.operating import Operators
from api.ports import ApiPorts
from api.providers import routes as providers_routes
from api.providers.service import Providers
from api.queues import routes as queues_routes
from api.queues.service import QueueReader
from api.schemas import routes as schemas_routes
from api.schemas.service import SchemaService
from api.shield import contact
from api.sinks import routes as sinks_routes
from api.sinks.service import Sinks
from api.sources import routes as sources_routes
from api.sources.book import SourceBook
from api.sources.keeper import SourceKeeper
from api.sources.service import SourceEvents
from api.straight import straight
from api.usage import routes as usage_routes
from api.usage.service import Usage
from api.webhooks import routes as webhooks_routes
from api.webhooks.service import WebhookKeeper
from domain.accounts.keys import pepper
from domain.errors import Transient
from domain.redriving.redriver import Redriver
from domain.redriving.remapping import Remapping
from domain.registry.schemas import Registry
from domain.settings import Settings

VERSION = "0.1.0"


@dataclass(frozen=True, slots=True)
class Parts:
    """What lives as long as the server."""

    ports: ApiPorts
    waiters: Waiters
    marks: Marks
    analyze: Analyze
    readiness: Readiness

    def drain(self) -> None:
        """Before stopping: not ready any more, and nobody is kept waiting."""
        self.readiness.drain()
        self.waiters.drain()


def create_app(ports: ApiPorts, settings: Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> FastAPI:
    """The API; its lifespan opens and closes the ports. Raises InvalidSettings for a key pepper that is too short."""
    instance = uuid.uuid4().hex
    waiters = Waiters(instance, Heard(ports.replies, ports.chunks), ports.jobs, ports.metrics)
    reader = Reader(ports.preparer, instance, now)
    marks = Marks(ports.jobs)
    glance = Glance(ports.limiter)
    analyze = Analyze(ports, reader, waiters, marks, glance)
    parts = Parts(ports, waiters, marks, analyze, Readiness(ports.dependencies))
    started = analyze_routes.router(analyze, ports.tracing)
    app = Layered(
        title="Structured Prompt",
        version=VERSION,
        docs_url=None,
        # spans and metrics are our own; asking for others at each request has its price
        telemetry={"tracing": False, "metrics": False, "logs": False},
        redoc_url=None,
        layers=layers(ports, settings, glance, straight(started.routes)),
        lifespan=partial(_lifespan, parts),
        exception_handlers=dict(HANDLERS),
    )
    app.state.parts = parts
    app.openapi = lambda: documentation.complete(app)  # type: ignore[method-assign]  # FastAPI's documented way
    docs.serve(app)
    app.include_router(contact.router(settings.security_contact, now))
    app.include_router(started)
    app.include_router(_jobs(ports, waiters))
    operators = Operators(settings.operating_tenants)
    book = SourceBook(ports.sources, ports.source_store, pepper(settings.key_pepper.get_secret_value()))
    app.include_router(letters_routes.router(_dead_letters(ports, book, operators, now)))
    app.include_router(schemas_routes.router(_schemas(ports, now)))
    app.include_router(queues_routes.router(QueueReader(ports.queues)))
    app.include_router(budgets_routes.router(BudgetKeeper(ports.budgets)))
    app.include_router(webhooks_routes.router(_webhooks(ports, settings, now)))
    app.include_router(destinations_routes.router(_destinations(ports, settings, now)))
    app.include_router(limits_routes.router(LimitReader(ports.limiter)))
    app.include_router(usage_routes.router(Usage(ports.usage, now)))
    app.include_router(exports_routes.router(Exports(ports.exporter, now), _export_jobs(ports, settings, now)))
    app.include_router(cache_routes.router(_cache(ports, now)))
    completions = Completions(parts.analyze, ports.catalogue, now)
    app.include_router(openai_routes.router(completions, ports.catalogue, ports.tracing))
    app.include_router(models_routes.router(lambda: listing(ports.catalogue, now())))
    app.include_router(providers_routes.router(Providers(ports.health, ports.catalogue, now)))
    app.include_router(limits_plans.router(PlanKeeper(ports.accounts), operators))
    app.include_router(limits_setting.router(LimitKeeper(ports.accounts), operators))
    app.include_router(audit_routes.router(AuditReader(ports.trail, now), operators))
    app.include_router(sinks_routes.router(Sinks(ports.sinks, now), operators))
    app.include_router(_sources(ports, settings, book, analyze, now))
    app.include_router(health_routes.router(parts.readiness, ports.exposition))
    return app


def _schemas(ports: ApiPorts, now: Callable[[], datetime]) -> SchemaService:
    return SchemaService(ports.schemas, Registry(ports.schemas, now), ports.catalogue)


def _jobs(ports: ApiPorts, waiters: Waiters) -> APIRouter:
    jobs = JobReader(ports.jobs)
    return jobs_routes.router(jobs, Canceller(jobs, ports.ledger, waiters))


def _cache(ports: ApiPorts, now: Callable[[], datetime]) -> Cache:
    return Cache(CachePorts(ports.usage, ports.similar, ports.producer, ports.trail), ports.preparer, now)


def _dead_letters(ports: ApiPorts, book: SourceBook, operators: Operators, now: Callable[[], datetime]) -> DeadLetters:
    remapping = Remapping(book.open, ports.decoder)
    redriver = Redriver(ports.letters, ports.originals, ports.preparer, remapping, now)
    return DeadLetters(ports.letters, redriver, operators, now)


def _export_jobs(ports: ApiPorts, settings: Settings, now: Callable[[], datetime]) -> JobKeeper:
    bucket = Bucket(ports.export_files, settings.sink_answers != "none", now)
    return JobKeeper(ports.export_jobs, ports.export_schedules, bucket)


def _webhooks(ports: ApiPorts, settings: Settings, now: Callable[[], datetime]) -> WebhookKeeper:
    secret = pepper(settings.key_pepper.get_secret_value())
    return WebhookKeeper(ports.endpoints, ports.deliveries, secret, settings.webhook_networks, now)


def _destinations(ports: ApiPorts, settings: Settings, now: Callable[[], datetime]) -> DestinationKeeper:
    secret = pepper(settings.key_pepper.get_secret_value())
    return DestinationKeeper(ports.endpoints, ports.deliveries, secret, settings.webhook_networks, now)


def _sources(
    ports: ApiPorts, settings: Settings, book: SourceBook, analyze: Analyze, now: Callable[[], datetime]
) -> APIRouter:
    secret = pepper(settings.key_pepper.get_secret_value())
    keeper = SourceKeeper(book, ports.sinks, secret, now)
    events = SourceEvents(book, ports.accounts, analyze, defaults(settings), now)
    return sources_routes.router(keeper, events, Operators(settings.operating_tenants), ports.tracing)


def _lifespan(parts: Parts, _app: FastAPI) -> AbstractAsyncContextManager[None]:
    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        ports = parts.ports
        await ports.open()
        tasks = [
            asyncio.create_task(keep_sweeping(ports.jobs, parts.analyze, ports.metrics)),
            asyncio.create_task(parts.marks.keep_writing()),
        ]
        try:
            async with parts.waiters.running():
                yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with suppress(Transient):
                await parts.marks.write()
            await ports.close()

    return running()
