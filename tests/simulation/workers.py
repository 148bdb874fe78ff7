"""Worker processes, built of the product's parts as agents/handlers.py builds them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from agents.contract import Outside
from agents.departures import Departures
from agents.emit import Emitter
from agents.flow import FLOW
from agents.infer.caller import Caller, CallPolicy
from agents.infer.cancelling import keep_listening
from agents.infer.handler import Infer
from agents.infer.pacing import Pace
from agents.infer.ports import InferPorts
from agents.infer.purse import Purse
from agents.infer.settler import Settler, SettlerPorts
from agents.intake.handler import Intake, IntakePorts
from agents.intake.reading import Reader
from agents.lease import LeaseKeeper
from agents.line import Delivery, Lines
from agents.source import BatchSource, EachSource, Source
from agents.stage import Stage
from agents.tenants import Tenants
from agents.wake.bookkeeping import Bookkeeper
from agents.wake.lanes import Lanes
from agents.wake.loop import Wake, WakePorts
from connectors.memory.accounts import MemoryAccounts
from connectors.memory.broker import MemoryBroker
from connectors.memory.budgets import MemoryBudgets
from connectors.memory.cache import MemoryCache
from connectors.memory.lanes import MemoryFlights
from connectors.memory.ledger import MemoryLedger
from connectors.memory.limiter import MemoryLimiter
from connectors.memory.pacer import MemoryPacer
from connectors.memory.replies import MemoryReplies
from connectors.memory.schemas import MemorySchemas
from connectors.memory.store import MemoryStore
from domain.accounts.limits import Defaults
from domain.accounts.model import Tenant
from domain.admission.prepare import Preparer
from domain.errors import Transient, Unavailable
from domain.output.recovery import Budget
from domain.ports import Record
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from domain.routing.retry import RetryPolicy
from domain.schemas.book import Book
from domain.tracing import NoTracing
from tests.simulation.groups import Member
from tests.simulation.outside import Answers, Books, Limits, NoMetrics, Produces, Statements
from tests.simulation.provider import Provider, ProviderClient
from tests.simulation.world import Violation, World
from topics.table import CALLS, REQUESTS

POLL = 10.0  # of wake; it sweeps each time
BOOK_EVERY = 5.0
SLOTS = 4
PLACES = 2  # of the lane: some wait for one
TENANT = "acme"
TEMPLATES = Path(__file__).parents[2] / "domain" / "prompting" / "library"


@cache
def preparer() -> Preparer:
    return Preparer(
        Library.load([TEMPLATES]), Catalogue.simulated("http://127.0.0.1:1/v1"), Book(MemorySchemas().find, lambda: 0.0)
    )


@dataclass(frozen=True, slots=True)
class Variant:
    """What is exchanged to see that the simulation notices."""

    ledger: type[MemoryLedger] = MemoryLedger
    lines: type[Lines] = Lines


@dataclass(slots=True)
class Shared:
    """What all processes of a line share."""

    world: World
    store: MemoryStore
    broker: MemoryBroker
    provider: Provider
    cache: MemoryCache
    limiter: MemoryLimiter
    flights: MemoryFlights
    pacer: MemoryPacer
    append: Callable[[Record], None]
    variant: Variant
    accounts: MemoryAccounts = field(default_factory=lambda: MemoryAccounts((Tenant(TENANT),)))


class Watched:
    """A handler that tells the simulation what it finished, and fails the schedule on a fault of the product's."""

    def __init__(self, inner: Any, worker: "Worker") -> None:
        self._inner, self._worker = inner, worker
        self.member: Member | None = None
        self.outside = getattr(inner, "outside", Outside())

    async def handle(self, delivery: Delivery) -> None:
        await self._guarded(self._inner.handle(delivery), (delivery,))

    async def handle_batch(self, batch: Sequence[Delivery]) -> None:
        await self._guarded(self._inner.handle_batch(batch), batch)

    async def bury(self, delivery: Delivery, error: Exception) -> None:
        raise self._worker.world.violated(
            f"{self._worker.incarnation} buries {delivery.topic}/{delivery.partition}/{delivery.offset}: {error!r}"
        )

    async def _guarded(self, work: Any, deliveries: Sequence[Delivery]) -> None:
        try:
            await work
        except (Transient, Violation):
            raise
        except Exception as error:
            raise self._worker.world.violated(f"a fault in {self._worker.incarnation}: {error!r}") from error
        if self.member is not None:
            for delivery in deliveries:
                self.member.done(delivery)


class Worker:
    """One process: a stage with its group, or wake. `boot` is its first task."""

    def __init__(self, shared: Shared, role: str, name: str, incarnation: int) -> None:
        self.role, self.name = role, name
        self.world = shared.world
        self.incarnation = f"{name}.{incarnation}"
        self.loop = shared.world.loop(self.incarnation)
        self.member: Member | None = None
        self.tasks: list[asyncio.Task[Any]] = []
        self._shared = shared
        self._ledger = Statements(shared.world, self.loop, shared.variant.ledger(shared.store, shared.world.clock.utc))
        self._producer = Produces(shared.world, self.loop, shared.append)
        self._metrics = NoMetrics()
        self._limiter = Limits(shared.world, self.loop, shared.limiter)
        self._departures = Departures(self._limiter)
        self._emitter = Emitter(self._producer, MemoryReplies(), self._ledger, self._metrics)

    async def boot(self, joined: Callable[["Worker"], None]) -> None:
        """Build the stage and serve; a dependency that is away while the process starts is waited for."""
        shared, clock = self._shared, self._shared.world.clock
        if self.role == "wake":
            lanes = Lanes(self._ledger, self._limiter, shared.flights, self._tenants(), clock.utc)
            ports = WakePorts(
                self._ledger, self._producer, self._emitter, self._metrics, clock.utc, lanes, self._departures
            )
            self.tasks.append(asyncio.ensure_future(Wake(ports, poll=POLL).run()))
            if self.world.plan.limit_usd is not None:
                self.tasks.append(asyncio.ensure_future(self._book()))
            return
        source = self._intake() if self.role == "intake" else await self._infer()
        stage = Stage(FLOW[self.role].policy, [source], self._metrics)
        stage.lines = self._shared.variant.lines()
        self.member = source._handler.member = Member(self.world, self.loop, stage)  # type: ignore[attr-defined]
        self.tasks.append(asyncio.ensure_future(source.consume(self.member.stream)))
        joined(self)

    async def _book(self) -> None:
        """As the bookkeeper of the product, less often."""
        budgets = MemoryBudgets(self._shared.store, self.world.clock.utc)
        keeper = Bookkeeper(Books(self.world, self.loop, budgets), self._producer, self._metrics)
        while True:
            await asyncio.sleep(BOOK_EVERY)
            with suppress(Unavailable):
                await keeper.book()

    def trouble(self) -> str | None:
        """What of it ended that should not have."""
        for task in self.tasks:
            if task.done():
                return f"{task!r} ended"
        if self.member is not None and self.member.stage.halted is not None:
            return f"its stage is halted: {self.member.stage.halted}"
        return None

    @property
    def idle(self) -> bool:
        return self.member is None or not self.member.stage.running

    def _tenants(self) -> Tenants:
        shared, per_minute = self._shared, self._shared.world.plan.per_minute
        defaults = Defaults(per_minute, max(1, per_minute // 6), PLACES)
        return Tenants(shared.accounts, defaults, shared.world.clock.monotonic)

    def _intake(self) -> Source:
        shared, clock = self._shared, self._shared.world.clock
        tenants = self._tenants()
        handler = Intake(
            IntakePorts(
                self._ledger,
                self._limiter,
                Answers(shared.world, self.loop, shared.cache),
                tenants,
                Reader(preparer(), tenants, clock.utc, NoTracing()),
                self._emitter,
                self._metrics,
                clock.utc,
            )
        )
        return BatchSource(REQUESTS, Watched(handler, self))

    async def _infer(self) -> Source:
        shared, clock, world = self._shared, self._shared.world.clock, self._shared.world
        lease = LeaseKeeper(self._ledger, self.incarnation, "infer", self._metrics, clock.monotonic)
        while True:
            try:
                await lease.start()
                break
            except Unavailable:
                await asyncio.sleep(0.5)
        if lease._task is not None:
            self.tasks.append(lease._task)
        cache = Answers(world, self.loop, shared.cache)
        settler = SettlerPorts(
            self._ledger, self._producer, cache, self._emitter, self._metrics, clock.utc, timedelta(hours=1),
            self._departures,
        )  # fmt: skip
        model = ProviderClient(shared.provider, self.loop, self.incarnation)
        purse = Purse(Books(world, self.loop, MemoryBudgets(shared.store, clock.utc)), clock.utc)
        pace = Pace(shared.pacer, self.incarnation, self._metrics, clock.utc, clock.monotonic)
        policy = CallPolicy(RetryPolicy(5), Budget(), 60.0, world.rng.random)
        caller = Caller(model, policy, self._metrics, purse, pace)
        if any(ask.what == "cancel" for ask in world.plan.asks):
            self.tasks.append(asyncio.ensure_future(keep_listening(self._ledger, caller)))
        handler = Infer(
            InferPorts(
                self._ledger,
                self._producer,
                preparer().catalogue,
                lease,
                caller,
                Settler(settler),
                purse,
                NoTracing(),
                clock.utc,
            )
        )
        return EachSource(CALLS["standard"], Watched(handler, self), SLOTS)
