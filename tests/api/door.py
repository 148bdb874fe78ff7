"""The API over the in-memory twins, and a small line behind it that answers as intake and infer would."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from api.application import create_app
from api.ports import ApiPorts
from connectors.audited import rules
from connectors.audited.recording import audited
from connectors.memory.accounts import MemoryAccounts
from connectors.memory.broker import MemoryBroker, MemoryOriginals, MemoryProducer, MemorySource
from connectors.memory.budgets import MemoryBudgets
from connectors.memory.chunks import MemoryChunks
from connectors.memory.exporter import MemoryExporter
from connectors.memory.exports import MemoryExportJobs, MemoryExportSchedules, MemoryFiles
from connectors.memory.health import MemoryHealthBoard
from connectors.memory.jobs import MemoryJobs
from connectors.memory.ledger import MemoryLedger
from connectors.memory.letters import MemoryLetters
from connectors.memory.limiter import MemoryLimiter
from connectors.memory.metrics import MemoryMetrics
from connectors.memory.queues import MemoryQueues
from connectors.memory.replies import MemoryReplies
from connectors.memory.schemas import MemorySchemas
from connectors.memory.similar import MemorySimilarAnswers
from connectors.memory.sink import MemorySink, MemoryUsage
from connectors.memory.sink_board import MemorySinkBoard
from connectors.memory.sources import MemorySourceFile, MemorySources
from connectors.memory.store import MemoryStore
from connectors.memory.trail import MemoryTrail
from connectors.memory.webhooks import MemoryDeliveries, MemoryEndpoints
from domain.accounts import keys
from domain.accounts.model import Tenant
from domain.admission.prepare import Origin, Preparer
from domain.ledger.model import Claim, Settlement, Source, Standing, State
from domain.ledger.results import Ending, Spent, finish, rejected
from domain.ports import BatchSource, Item, Ledger, Replies, Reply
from domain.prompting.library import Library
from domain.routing.catalogue import Catalogue
from domain.schemas.book import Book
from domain.settings import Settings
from topics import codec
from topics.headers import API_KEY, REPLY_TO, text_of
from topics.table import REQUESTS

PEPPER = b"a pepper of more than 32 characters, for tests"
LIBRARY = Path(__file__).parents[2] / "domain" / "prompting" / "library"
ASK = {"prompt": "Where is my parcel?"}


def utc_now() -> datetime:
    return datetime.now(UTC)


AUDITED = {
    "accounts": rules.ACCOUNTS, "budgets": rules.BUDGETS, "endpoints": rules.ENDPOINTS, "deliveries": rules.DELIVERIES,
    "export_jobs": rules.EXPORT_JOBS, "export_schedules": rules.EXPORT_SCHEDULES, "sinks": rules.SINKS,
    "source_store": rules.SOURCES, "schemas": rules.SCHEMAS, "letters": rules.LETTERS,
}  # fmt: skip
"""Ports whose changes leave rows of the audit log, as connectors/audited/postgres.py makes them."""


def audited_ports(ports: ApiPorts) -> ApiPorts:
    return replace(
        ports, **{name: audited(getattr(ports, name), ports.trail, given) for name, given in AUDITED.items()}
    )


def completed(output: Any = "On its way.") -> Ending:
    return Ending(State.COMPLETED, output=output, provider="simulated", model="small")


@dataclass
class Line:
    """Answers what it reads on prompt.requests. `endings` by id; what is not there completes.

    While `open` is clear nothing is read; while `answering` is clear, what was read stays accepted.
    """

    source: BatchSource
    ledger: Ledger
    replies: Replies
    preparer: Preparer
    endings: dict[str, Ending] = field(default_factory=dict)
    notifies: bool = True

    def __post_init__(self) -> None:
        self.open, self.answering = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.answering.set()
        self.claims = 0

    async def run(self) -> None:
        async for batch in self.source.batches():
            await self.open.wait()
            for item in batch:
                await self._handle(item)
            await self.source.commit(batch)

    async def _handle(self, item: Item) -> None:
        read = codec.read_request(item.value)
        request, digest = read.request, codec.body_hash(read.fields)
        headers = dict(item.headers)
        origin = Origin(
            codec.request_hash(digest),
            utc_now(),
            reply_to=text_of(headers, REPLY_TO),
            api_key_id=text_of(headers, API_KEY),
        )
        call = self.preparer.prepare(request, origin)
        source = Source(item.topic, item.partition, item.offset)
        claim = Claim(
            request.tenant, request.id, digest, source, call.encode(), request.lane, utc_now(), rerun=request.rerun
        )
        [claimed] = await self.ledger.claim([claim])
        assert not isinstance(claimed, Exception)
        if claimed.standing is Standing.CONFLICT:
            _, result = finish(call, 0, rejected("id_conflict", "the id is taken"), Spent(), utc_now())
            await self._notify(origin.reply_to, request.tenant, request.id, result)
        elif claimed.standing is Standing.REPEATED and claimed.result:
            await self._notify(origin.reply_to, request.tenant, request.id, claimed.result)
        elif claimed.standing is Standing.NEW:
            self.claims += 1
            await self.answering.wait()
            ending = self.endings.get(request.id, completed())
            if claimed.cancelled:
                ending = rejected("cancelled", "cancelled on request")
            _, result = finish(call, claimed.run, ending, Spent(), utc_now())
            place = (request.tenant, request.id, claimed.run, claimed.epoch)
            await self.ledger.settle([Settlement(*place, ending.state, result, "intake", ending.code)])
            await self._notify(origin.reply_to, request.tenant, request.id, result)

    async def _notify(self, instance: str | None, tenant: str, id: str, result: bytes) -> None:
        if instance and self.notifies:
            await self.replies.notify([Reply(instance, tenant, id, result)])


class Door:
    """One API instance with everything around it. `client` carries the key of tenant acme, `strangers` none."""

    app: FastAPI
    client: httpx.AsyncClient
    strangers: httpx.AsyncClient

    def __init__(self, *, requests_per_minute: int = 600_000, burst: int = 100_000) -> None:
        self._store_things()
        self._know_tenants()
        self.catalogue = Catalogue.simulated("http://127.0.0.1:1/v1")
        self.preparer = Preparer(Library.load([LIBRARY]), self.catalogue, Book(self.schemas.find, time.monotonic))
        self.settings = Settings(
            kafka="127.0.0.1:1", database_url="postgresql://a:b@127.0.0.1:1/c", redis_url="redis://127.0.0.1:1/0",
            clickhouse_url="http://127.0.0.1:1/d", key_pepper=PEPPER.decode(), requests_per_minute=requests_per_minute,
            burst=burst, operators="globex",
        )  # fmt: skip
        source = MemorySource(self.broker, (REQUESTS,), "structured-prompt.intake")
        self.line = Line(source, self.ledger, self.replies, self.preparer)
        self.ports = audited_ports(self._ports())

    def _store_things(self) -> None:
        self.store = MemoryStore()
        self.broker = MemoryBroker()
        self.producer = MemoryProducer(self.broker)
        self.jobs = MemoryJobs(self.store, utc_now)
        self.ledger = MemoryLedger(self.store, utc_now)
        self.budgets = MemoryBudgets(self.store, utc_now)
        self.letters = MemoryLetters(self.store, utc_now)
        self.replies = MemoryReplies()
        self.health = MemoryHealthBoard()
        self.endpoints = MemoryEndpoints()
        self.deliveries = MemoryDeliveries(self.endpoints)
        self.chunks = MemoryChunks()
        self.limiter = MemoryLimiter()
        self.metrics = MemoryMetrics()
        self.sink = MemorySink()
        self.exporter = MemoryExporter(self.sink)
        self.export_jobs, self.export_files = MemoryExportJobs(), MemoryFiles()
        self.export_schedules = MemoryExportSchedules(self.export_jobs)
        self.sink_board, self.source_store = MemorySinkBoard(utc_now), MemorySources()
        self.source_file = MemorySourceFile()
        self.schemas, self.similar = MemorySchemas(), MemorySimilarAnswers()
        self.trail = MemoryTrail(utc_now)

    def _know_tenants(self) -> None:
        self.issued = keys.issue("acme", "test", PEPPER, utc_now())
        self.other = keys.issue("globex", "test", PEPPER, utc_now())
        self.asleep = keys.issue("asleep", "test", PEPPER, utc_now())
        self.accounts = MemoryAccounts(
            [Tenant("acme"), Tenant("globex"), Tenant("asleep", active=False)],
            [self.issued.key, self.other.key, self.asleep.key],
        )

    def _ports(self) -> ApiPorts:
        return ApiPorts(
            jobs=self.jobs, ledger=self.ledger, accounts=self.accounts, producer=self.producer, limiter=self.limiter,
            replies=self.replies, chunks=self.chunks, usage=MemoryUsage(self.sink), exporter=self.exporter,
            preparer=self.preparer, catalogue=self.catalogue, metrics=self.metrics,
            exposition=lambda: b"structured_prompt_http_waiters 0.0\n",
            letters=self.letters, originals=MemoryOriginals(self.broker), queues=MemoryQueues(self.store),
            sinks=self.sink_board, sources=self.source_file, source_store=self.source_store, health=self.health,
            budgets=self.budgets, schemas=self.schemas, similar=self.similar,
            endpoints=self.endpoints, deliveries=self.deliveries, export_jobs=self.export_jobs,
            export_schedules=self.export_schedules, export_files=self.export_files, trail=self.trail,
        )  # fmt: skip

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["Door"]:
        self.app = create_app(self.ports, self.settings)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with (
            self.app.router.lifespan_context(self.app),
            httpx.AsyncClient(transport=transport, base_url="http://door", headers=self.bearer()) as self.client,
            httpx.AsyncClient(transport=transport, base_url="http://door") as self.strangers,
        ):
            work = asyncio.create_task(self.line.run())
            try:
                yield self
            finally:
                work.cancel()
                await asyncio.gather(work, return_exceptions=True)

    def bearer(self, issued: keys.Issued | None = None) -> dict[str, str]:
        return {"authorization": f"Bearer {(issued or self.issued).secret}"}

    async def ask(self, body: Any = ASK, path: str = "/v1/analyze", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=content, headers={"content-type": "application/json", **named})

    def produced(self) -> list[dict[str, Any]]:
        return [orjson.loads(value) for value in self.broker.values(REQUESTS)]


def assert_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an RFC 9457 answer with everything the contract names."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    body: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail", "code", "request_id", "errors"} <= body.keys()
    assert (body["status"], body["code"]) == (status, code), body
    assert response.headers["x-request-id"]
    return body
