"""Answers to the same question in other words, before the call and after it (docs/decisions/0025).

Only a wording that agrees with a known one is embedded, so that a miss costs one look into PostgreSQL and no wait.
Nothing here fails a request: whatever does not answer is a miss.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from agents.infer.embedding import Embedding, Text, Vector
from domain.batching import Batcher
from domain.budgets.model import Bill
from domain.caching.entry import Entry, lifetime, read, remembered
from domain.caching.generations import Generations, plain
from domain.caching.semantic import Check, Kept, Known, agrees, place
from domain.errors import StructuredPromptError
from domain.ledger.model import State
from domain.ledger.results import Ending, Spent
from domain.metrics import Metrics
from domain.ports import SimilarAnswers
from topics.base import format_money
from topics.call import PromptCall

log = structlog.get_logger("infer")
PATIENCE_S = 5.0
"""For a look-up, whatever it waits for."""
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class SimilarPorts:
    """What it works with. `heard` gives the invalidations, up to date: they are listened to from its first call on."""

    answers: SimilarAnswers
    embedding: Embedding
    heard: Callable[[], Awaitable[Generations]]
    metrics: Metrics
    clock: Callable[[], datetime]
    ttl: timedelta
    draw: Callable[[], float] = random.random


@dataclass(frozen=True, slots=True)
class Hit:
    """How a run may end, and what finding it cost."""

    ending: Ending
    bill: Bill


@dataclass(slots=True)
class Open:
    """A run whose call is being made though its text was embedded; `nearly` is the answer it was nearly given."""

    vector: Vector
    nearly: Entry | None = None


class Similarity:
    """Looks up before a call, learns after it."""

    def __init__(self, ports: SimilarPorts) -> None:
        self._ports = ports
        self._open: dict[Key, Open] = {}
        self._peeks = Batcher(ports.answers.peek)
        self._compares = Batcher(ports.answers.compare)
        self._keeps = Batcher(self._keep)
        self._notes = Batcher(ports.answers.note)
        self.told = ports.embedding.told

    async def find(self, text: Text) -> Hit | None:
        """What is known of the question in other words, where it may be given."""
        outcome, hit = "trouble", None
        try:
            async with asyncio.timeout(PATIENCE_S):
                outcome, hit = await self._look(text)
        except (StructuredPromptError, TimeoutError) as error:
            log.warning("similar_not_found", reason=str(error) or f"no answer within {PATIENCE_S:g} s")
        self._ports.metrics.count("similar_lookups", outcome=outcome)
        return hit

    async def learn(self, text: Text, ending: Ending, spent: Spent) -> Bill | None:
        """After the commit (rule L13): keep the answer of a call, compare it with what was nearly given in its place.

        What its embedding cost, None where nothing was embedded.
        """
        call, run = text.call, text.run
        known = self._open.pop((call.tenant, call.id, run), None)
        vector = known.vector if known else None
        if ending.state is State.COMPLETED and ending.cached is None and call.cache_key is not None:
            try:
                if known is not None and known.nearly is not None:
                    await self._judge(call, known.nearly, ending)
                vector = vector or await self._ports.embedding.vector(text)
                await self._keeps.submit(self._kept(call, ending, spent, vector))
            except StructuredPromptError as error:
                log.warning("similar_not_kept", reason=str(error))
        return None if vector is None else vector.bill

    def forget(self, call: PromptCall, run: int) -> None:
        """The run is in other hands, or over."""
        self._open.pop((call.tenant, call.id, run), None)

    async def _look(self, text: Text) -> tuple[str, Hit | None]:
        call, run = text.call, text.run
        rules, where = call.similar or {}, place(call, self._ports.embedding.name)
        seen = await self._peeks.submit(where)
        if not seen.known:
            return "miss", None
        generations = await self._ports.heard()
        vector = await self._ports.embedding.vector(text)
        known = self._open[call.tenant, call.id, run] = Open(vector)
        found = await self._compares.submit((where, vector.values))
        if found is None or not _counts(call, found, generations):
            return "miss", None
        if not found.similarity >= rules["similarity"]:  # nothing is near to a vector of zeros: NaN
            return "unlike", None
        entry, now = read(found.entry), self._ports.clock().timestamp()
        if entry.verdict(now, 1.0 - self._ports.draw()) != "fresh":
            return "early", None
        if seen.closed or self._ports.draw() < rules["checked"]:
            known.nearly = entry
            return "checked", None
        self.forget(call, run)
        return "hit", Hit(entry.ending("semantic", now), vector.bill)

    async def _judge(self, call: PromptCall, nearly: Entry, ending: Ending) -> None:
        rules, template = call.similar or {}, call.template or {"name": "", "version": 0}
        agreed = agrees(nearly.output, ending.output, rules["compare"])
        check = Check(call.tenant, template["name"], template["version"], agreed, rules["wrong"])
        outcome = "agreed" if agreed else "wrong"
        self._ports.metrics.count("similar_checks", template=check.template, outcome=outcome)
        trust = await self._notes.submit(check)
        if trust.closed and not agreed:
            facts = {"tenant": check.tenant, "template": check.template, "rate": round(trust.false_hit_rate, 4)}
            log.warning("similar_closed", **facts, limit=check.limit)

    def _kept(self, call: PromptCall, ending: Ending, spent: Spent, vector: Vector) -> Kept:
        ttl = lifetime(int(self._ports.ttl.total_seconds()), call.cache_ttl_s)
        now, took = self._ports.clock().timestamp(), spent.provider_ms / 1000
        entry = remembered(ending, now, ttl, took, format_money(spent.cost_usd))
        where = place(call, self._ports.embedding.name)
        return Kept(where, vector.values, Known(1.0, entry, call.cache_key or "", call.tags), ttl)

    async def _keep(self, batch: Sequence[Kept]) -> list[None]:
        await self._ports.answers.keep(batch)
        return [None] * len(batch)


def _counts(call: PromptCall, known: Known, generations: Generations) -> bool:
    """Whether an answer is of this tenant's present generations (rule L13), and to another question than this one: the
    same question is the exact cache's, which just missed it or wants it asked anew."""
    base = plain(known.cache_key)
    if base == plain(call.cache_key or ""):
        return False
    return generations.key(replace(call, cache_key=base, tags=known.tags)) == known.cache_key
