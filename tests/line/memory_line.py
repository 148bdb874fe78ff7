"""The whole line in one process: intake, infer and wake over the in-memory twins, with a clock that tests turn."""

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from agents.departures import Departures
from agents.emit import Emitter
from agents.infer.caller import Caller, CallPolicy
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
from agents.intake.handler import Intake, IntakePorts
from agents.intake.reading import Reader
from agents.lease import LeaseKeeper
from agents.line import Delivery
from agents.tenants import Tenants
from agents.wake.bookkeeping import Bookkeeper
from agents.wake.lanes import Lanes
from agents.wake.loop import Wake, WakePorts
from connectors.memory.accounts import MemoryAccounts
from connectors.memory.broker import MemoryBroker, MemoryProducer
from connectors.memory.budgets import MemoryBudgets
from connectors.memory.cache import MemoryCache
from connectors.memory.chunks import MemoryChunks
from connectors.memory.documents import MemoryDocuments
from connectors.memory.embedder import MemoryEmbedder
from connectors.memory.lanes import MemoryFlights
from connectors.memory.ledger import MemoryLedger
from connectors.memory.limiter import MemoryLimiter
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.model import ScriptedModel, Step, says
from connectors.memory.pacer import MemoryPacer
from connectors.memory.replies import MemoryReplies
from connectors.memory.schemas import MemorySchemas
from connectors.memory.similar import MemorySimilarAnswers
from connectors.memory.store import MemoryStore
from domain.accounts.limits import Defaults
from domain.accounts.model import Tenant
from domain.admission.prepare import Preparer
from domain.caching.generations import Generations
from domain.outgoing.places import NOWHERE
from domain.output.recovery import Budget
from domain.pacing.bucket import PROVEN
from domain.pacing.model import Ask, Heard
from domain.ports import ContentFilter, Pacer
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from domain.routing.retry import RetryPolicy
from domain.schemas.book import Book
from domain.tracing import NoTracing, Tracing
from topics.records import UsageRecord
from topics.result import PromptResult
from topics.table import CALLS, REQUESTS

START = datetime(2026, 1, 1, tzinfo=UTC)
TEMPLATES = Path(__file__).parents[2] / "domain" / "prompting" / "library"
LABEL = {"type": "object", "properties": {"label": {"enum": ["good", "bad"]}}, "required": ["label"]}


@cache
def _parts() -> tuple[Library, Catalogue]:
    return Library.load([TEMPLATES]), Catalogue.simulated("http://127.0.0.1:1/v1")


class MemoryLine:
    """`now` is the clock of everything. Several workers share `store`, `broker` and `model`."""

    def __init__(
        self,
        script: Sequence[Step] = (),
        tenants: Sequence[Tenant] = (Tenant("acme"),),
        tracing: Tracing | None = None,
    ) -> None:
        self.tracing = tracing or NoTracing()
        self.now = START
        self.store, self.broker, self.metrics = MemoryStore(), MemoryBroker(now=self.clock), MemoryMetrics()
        self.model = ScriptedModel(script, then=says({"label": "good"}))
        self.cache, self.replies = MemoryCache(1 << 20, self.seconds), MemoryReplies()
        self.chunks = MemoryChunks()
        self.budgets = MemoryBudgets(self.store, self.clock)
        self.content_filter: ContentFilter | None = None
        self.documents, self.places, self.document_bytes = MemoryDocuments(), NOWHERE, 1 << 20
        self.room = Room(COPIES << 20)
        self.pacer: Pacer = MemoryPacer(self.flowing)
        self.flights = MemoryFlights(self.store)
        self.accounts, self.limiter = MemoryAccounts(tenants), MemoryLimiter(self.seconds, self.flights)
        self.departures = Departures(self.limiter)
        self.lane_places = 2_000
        self.own_topics: dict[str, str] = {}
        self.schemas, self.generations = MemorySchemas(), Generations()
        self.preparer = Preparer(*_parts(), Book(self.schemas.find, self.seconds))
        self.embedder, self.similar = MemoryEmbedder(), MemorySimilarAnswers(self.seconds)
        self.draw = 0.5
        self.offsets: dict[tuple[str, int], int] = {}
        self._keepers: list[LeaseKeeper] = []

    def clock(self) -> datetime:
        return self.now

    def seconds(self) -> float:
        return (self.now - START).total_seconds()

    def flowing(self) -> float:
        """Seconds that go on while nothing is told: a pace is waited for."""
        return self.seconds() + time.monotonic()

    def pass_time(self, **span: float) -> None:
        self.now += timedelta(**span)

    def intake(self, draw: Callable[[], float] = lambda: 0.0) -> Intake:
        ledger = MemoryLedger(self.store, self.clock)
        tenants = self._tenants()
        reader = Reader(self.preparer, tenants, self.clock, self.tracing, self.generations, self.own_topics)
        return Intake(
            IntakePorts(
                ledger, self.limiter, self.cache, tenants, reader,
                Emitter(MemoryProducer(self.broker), self.replies, ledger, self.metrics), self.metrics, self.clock,
                draw, self.content_filter,
            )
        )  # fmt: skip

    async def infer(self, name: str = "w1", attempts: int = 5, re_asks: int = 2, slots: int = 0) -> Infer:
        ledger = MemoryLedger(self.store, self.clock)
        producer = MemoryProducer(self.broker)
        lease = LeaseKeeper(ledger, name, "infer", self.metrics, lambda: 0.0)
        await ledger.register(name, "infer")
        await self.warm(name)
        lease._sent_at = 0.0
        emitter = Emitter(producer, self.replies, ledger, self.metrics)
        settler = SettlerPorts(
            ledger, producer, self.cache, emitter, self.metrics, self.clock, timedelta(hours=1), self.departures
        )
        policy = CallPolicy(RetryPolicy(attempts), Budget(re_asks=re_asks), 60.0, lambda: 0.0, slots)
        purse = Purse(self.budgets, self.clock)
        pace = Pace(self.pacer, name, self.metrics, self.clock, self.flowing)
        speaker = Speaker(self.chunks, self.metrics)
        embedding = EmbeddingPorts(self.embedder, purse, self.budgets, self.metrics, self.seconds)
        ports = SimilarPorts(
            self.similar, Embedding(embedding), self._heard, self.metrics, self.clock, timedelta(hours=1),
            lambda: self.draw,
        )  # fmt: skip
        caller = Caller(self.model, policy, self.metrics, purse, pace, speaker)
        reading = ReadingPorts(
            self.documents, self.places, self.document_bytes, self.room, self.metrics, self.clock, self.content_filter,
            lambda: 0.5,
        )  # fmt: skip
        return Infer(
            InferPorts(
                ledger, producer, self.preparer.catalogue, lease, caller, Settler(settler), purse, self.tracing,
                self.clock, Reading(reading, caller.outside), Similarity(ports),
            )
        )  # fmt: skip

    async def _heard(self) -> Generations:
        return self.generations

    def bookkeeper(self) -> Bookkeeper:
        return Bookkeeper(self.budgets, MemoryProducer(self.broker), self.metrics)

    async def warm(self, name: str) -> None:
        """The deployments have answered before and named no limit."""
        heard = (Heard(calls_a_second=PROVEN),)
        await self.pacer.pace([Ask(one.name, name, heard=heard) for one in self.preparer.catalogue.deployments])

    def wake(self) -> Wake:
        ledger = MemoryLedger(self.store, self.clock)
        producer = MemoryProducer(self.broker)
        lanes = Lanes(ledger, self.limiter, self.flights, self._tenants(), self.clock)
        emitter = Emitter(producer, self.replies, ledger, self.metrics)
        return Wake(WakePorts(ledger, producer, emitter, self.metrics, self.clock, lanes, self.departures))

    def _tenants(self) -> Tenants:
        return Tenants(self.accounts, Defaults(600_000, 100_000, self.lane_places), self.seconds)

    def publish(self, body: Any, key: bytes | None = None, headers: Sequence[tuple[str, bytes]] = ()) -> Delivery:
        """A delivery of prompt.requests, as the broker would hand it out."""
        value = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        offset = self.offsets[REQUESTS, 0] = self.offsets.get((REQUESTS, 0), -1) + 1
        return Delivery((REQUESTS, 0), REQUESTS, 0, offset, 1, key, value, headers, self.now.timestamp())

    async def dies_in_a_call(self, call: Delivery, has_called: Callable[[], bool]) -> Infer:
        """A worker, whose model holds its answers, dies once it has called; the one that takes over after its lease."""
        dying = asyncio.ensure_future((await self.infer("dying")).handle(call))
        while not has_called():
            await asyncio.sleep(0)
        dying.cancel()
        self.model.let_go()
        self.pass_time(seconds=40)
        return await self.infer("second")

    def calls(self, lane: str = "standard") -> list[Delivery]:
        """What intake and wake produced to a lane since the last look."""
        topic = CALLS[lane]  # type: ignore[index]
        records = self.broker.log[topic]
        start = self.offsets.get((topic, 0), 0)
        self.offsets[topic, 0] = len(records)
        return [
            Delivery((topic, 0), topic, 0, offset, 1, one.key, one.value, one.headers, self.now.timestamp())
            for offset, one in enumerate(records[start:], start)
        ]

    def out(self, topic: str) -> list[dict[str, Any]]:
        return [json.loads(value) for value in self.broker.values(topic)]

    async def answer(self, body: dict[str, Any], infer: Infer | None = None) -> dict[str, Any] | None:
        """One request through intake and infer: its result, None when it waits."""
        await self.intake().handle_batch([self.publish(body)])
        worker = infer or await self.infer()
        for delivery in self.calls(body.get("lane", "standard")):
            await worker.handle(delivery)
        found = [row for row in self.out("prompt.results") if row["id"] == body["id"]]
        return found[-1] if found else None


def request(id: str = "r1", **more: Any) -> dict[str, Any]:
    return {"id": id, "tenant": "acme", "prompt": "Is it good?", "output_schema": LABEL, **more}


async def claimed(line: MemoryLine, **more: Any) -> Delivery:
    """A request whose call is on its way to infer."""
    await line.intake().handle_batch([line.publish(request(**more))])
    (delivery,) = line.calls()
    return delivery


async def running(line: MemoryLine, infer: Infer, delivery: Delivery) -> "asyncio.Task[None]":
    """A worker in the middle of the call."""
    line.model.hold()
    work = asyncio.ensure_future(infer.handle(delivery))
    while not line.model.in_flight:
        await asyncio.sleep(0)
    return work


def the_end(line: MemoryLine) -> tuple[str, str, int]:
    """Status, code and calls of the one result there is."""
    (result,) = line.out("prompt.results")
    PromptResult.model_validate(result)
    return (result["status"], result["error"]["code"], result["usage"]["attempts"])


def outcomes(line: MemoryLine) -> list[str]:
    return [UsageRecord.model_validate(row).outcome for row in line.out("prompt.usage")]
