"""Answers to the same question in other words, before the call and after it (docs/decisions/0025).

Only a wording that agrees with a known one is embedded, so that a miss costs one look into PostgreSQL and no wait.
Nothing here fails a request: whatever does not answer is a miss.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from domain.batching import Batcher
from domain.caching.entry import Entry, lifetime, read, remembered
from domain.caching.generations import Generations, plain
from domain.caching.semantic import EMBEDDING, Check, Embedded, Kept, Known, agrees, place
from domain.errors import ModelError, StructuredPromptError
from domain.ledger.model import State
from domain.ledger.results import Called, Ending, Spent, attempt_done
from domain.metrics import Metrics
from domain.ports import Embedder, SimilarAnswers
from domain.pricing.cost import cost
from domain.routing.model import Tokens
from topics.base import format_money
from topics.call import PromptCall

log = structlog.get_logger("infer")
MOST_TEXTS = 100
"""In one call; a batch of more waits for the next."""
PATIENCE_S = 5.0
"""For a look-up, whatever it waits for."""
REST_S = 5.0
"""How long nothing is embedded after a call for it failed."""
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class SimilarPorts:
    """What it works with. `heard` gives the invalidations, up to date: they are listened to from its first call on."""

    answers: SimilarAnswers
    embedder: Embedder
    heard: Callable[[], Awaitable[Generations]]
    metrics: Metrics
    clock: Callable[[], datetime]
    ttl: timedelta
    draw: Callable[[], float] = random.random
    seconds: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Vector:
    """An embedded text, and how it was called for."""

    values: Sequence[float]
    called: Called


@dataclass(frozen=True, slots=True)
class Hit:
    """How a run may end; `usage` is the record of what finding it cost."""

    ending: Ending
    usage: bytes


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
        self._resting_until = 0.0
        self._peeks = Batcher(ports.answers.peek)
        self._compares = Batcher(ports.answers.compare)
        self._keeps = Batcher(self._keep)
        self._notes = Batcher(ports.answers.note)
        self._embeds: Batcher[str, Vector] = Batcher(self._embed, MOST_TEXTS)

    async def find(self, call: PromptCall, run: int) -> Hit | None:
        """What is known of the question in other words, where it may be given."""
        outcome, hit = "trouble", None
        try:
            async with asyncio.timeout(PATIENCE_S):
                outcome, hit = await self._look(call, run)
        except (StructuredPromptError, TimeoutError) as error:
            log.warning("similar_not_found", reason=str(error) or f"no answer within {PATIENCE_S:g} s")
        self._ports.metrics.count("similar_lookups", outcome=outcome)
        return hit

    async def learn(self, call: PromptCall, run: int, ending: Ending, spent: Spent) -> bytes | None:
        """After the commit (rule L13): keep the answer of a call, compare it with what was nearly given in its place.

        The usage record of its embedding, None where nothing was embedded.
        """
        known = self._open.pop((call.tenant, call.id, run), None)
        vector = known.vector if known else None
        if ending.state is State.COMPLETED and ending.cached is None and call.cache_key is not None:
            try:
                if known is not None and known.nearly is not None:
                    await self._judge(call, known.nearly, ending)
                vector = vector or await self._vector(call)
                await self._keeps.submit(self._kept(call, ending, spent, vector))
            except StructuredPromptError as error:
                log.warning("similar_not_kept", reason=str(error))
        return None if vector is None else _usage(call, run, vector)

    def forget(self, call: PromptCall, run: int) -> None:
        """The run is in other hands, or over."""
        self._open.pop((call.tenant, call.id, run), None)

    async def _look(self, call: PromptCall, run: int) -> tuple[str, Hit | None]:
        rules, where = call.similar or {}, place(call, self._ports.embedder.deployment.name)
        seen = await self._peeks.submit(where)
        if not seen.known:
            return "miss", None
        generations = await self._ports.heard()
        vector = await self._vector(call)
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
        return "hit", Hit(entry.ending("semantic", now), _usage(call, run, vector))

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
        where = place(call, self._ports.embedder.deployment.name)
        return Kept(where, vector.values, Known(1.0, entry, call.cache_key or "", call.tags), ttl)

    async def _keep(self, batch: Sequence[Kept]) -> list[None]:
        await self._ports.answers.keep(batch)
        return [None] * len(batch)

    async def _vector(self, call: PromptCall) -> Vector:
        """Raises ModelError, at once where the last call failed a moment ago."""
        if self._ports.seconds() < self._resting_until:
            raise ModelError("embeddings failed a moment ago", outcome="error", sent=False, retryable=True)
        return await self._embeds.submit("\n".join((call.similar or {})["texts"]))

    async def _embed(self, texts: Sequence[str]) -> list[Vector]:
        """One call for all; each is billed its share."""
        deployment, sent_at, started = self._ports.embedder.deployment, self._ports.clock(), self._ports.seconds()
        outcome = "error"
        try:
            found = await self._ports.embedder.embed(texts)
            outcome = "ok"
        except ModelError as error:
            outcome = error.outcome if error.outcome in ("rate_limited", "timeout") else "error"
            self._resting_until = self._ports.seconds() + REST_S
            raise
        finally:
            seconds = self._ports.seconds() - started
            provider, model = deployment.provider, deployment.model
            self._ports.metrics.count("provider_calls", provider=provider, model=model, outcome=outcome)
            self._ports.metrics.observe("provider_seconds", seconds, provider=provider, model=model)
        return [self._billed(one, sent_at, round(seconds * 1000)) for one in found]

    def _billed(self, one: Embedded, sent_at: datetime, latency_ms: int) -> Vector:
        deployment, tokens = self._ports.embedder.deployment, Tokens(input=one.tokens)
        price = cost(deployment.price_at(sent_at), tokens)
        provider, model = deployment.provider, deployment.model
        self._ports.metrics.count("cost_usd", float(price), provider=provider, model=model)
        self._ports.metrics.count("tokens", one.tokens, provider=provider, model=model, kind="input")
        return Vector(one.vector, Called(EMBEDDING, deployment, "ok", tokens, price, latency_ms, sent_at))


def _counts(call: PromptCall, known: Known, generations: Generations) -> bool:
    """Whether an answer is of this tenant's present generations (rule L13), and to another question than this one: the
    same question is the exact cache's, which just missed it or wants it asked anew."""
    base = plain(known.cache_key)
    if base == plain(call.cache_key or ""):
        return False
    return generations.key(replace(call, cache_key=base, tags=known.tags)) == known.cache_key


def _usage(call: PromptCall, run: int, vector: Vector) -> bytes:
    return attempt_done(call, run, vector.called).record
