"""Texts as vectors: in one call for many, paid for like every other call (rule L12).

An embedding is no attempt at an answer, and has no row among the attempts. Its money is held under a number below 0,
one for each epoch of its run; its usage record is kept with what it cost until it is known to be produced.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import structlog

from agents.infer.persisting import persist
from agents.infer.purse import Purse
from domain.batching import Batcher
from domain.budgets.model import Beside, Bill
from domain.budgets.rules import may_have_cost
from domain.caching.semantic import EMBEDDING, Embedded
from domain.errors import ModelError, Unavailable
from domain.ledger.results import Called, attempt_done
from domain.metrics import Metrics
from domain.ports import Budgets, Embedder
from domain.pricing.cost import cost
from domain.routing.model import Tokens
from topics.call import PromptCall

log = structlog.get_logger("infer")
MOST_TEXTS = 100
"""In one call; a batch of more waits for the next."""
REST_S = 5.0
"""How long nothing is embedded after a call for it failed."""


@dataclass(frozen=True, slots=True)
class EmbeddingPorts:
    """What it works with."""

    embedder: Embedder
    purse: Purse
    budgets: Budgets
    metrics: Metrics
    seconds: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Text:
    """What a run asks in its own words, under one of its epochs."""

    call: PromptCall
    run: int
    epoch: int

    @property
    def words(self) -> str:
        return "\n".join((self.call.similar or {})["texts"])

    @property
    def number(self) -> int:
        """That of its embedding, which no attempt has."""
        return -1 - self.epoch


@dataclass(frozen=True, slots=True)
class Vector:
    """An embedded text, and what that cost."""

    values: Sequence[float]
    bill: Bill


@dataclass(frozen=True, slots=True)
class _Paid:
    """A text that may be embedded. held: money is held for it."""

    text: Text
    held: bool


class Embedding:
    """Batches of texts: what arrived while the last call ran."""

    def __init__(self, ports: EmbeddingPorts) -> None:
        self._ports = ports
        self.name = ports.embedder.deployment.name
        self._resting_until = 0.0
        self._embeds: Batcher[Text, Vector] = Batcher(self._embed, MOST_TEXTS)
        self._told: Batcher[Bill, None] = Batcher(self._tell)

    async def vector(self, text: Text) -> Vector:
        """Raises ModelError, without a call where the last one failed a moment ago or a budget has too little left."""
        if self._ports.seconds() < self._resting_until:
            raise ModelError("embeddings failed a moment ago", outcome="error", sent=False, retryable=True)
        return await self._embeds.submit(text)

    async def told(self, bill: Bill) -> None:
        """Its record is durable on its topic. Where that cannot be noted it is produced once more."""
        try:
            await self._told.submit(bill)
        except Unavailable as error:
            log.warning("usage_not_noted", reason=str(error))

    async def _tell(self, batch: Sequence[Bill]) -> list[None]:
        await self._ports.budgets.produced(batch)
        return [None] * len(batch)

    async def _embed(self, texts: Sequence[Text]) -> list[Vector | Exception]:
        answers = await self._held(texts)
        paid = [answer for answer in answers if isinstance(answer, _Paid)]
        vectors = iter(await self._call(paid) if paid else ())
        return [next(vectors) if isinstance(answer, _Paid) else answer for answer in answers]

    async def _held(self, texts: Sequence[Text]) -> list[_Paid | Exception]:
        """Money for each, or why there is none."""
        purse, deployment = self._ports.purse, self._ports.embedder.deployment
        await purse.refresh()
        reserves = [purse.beside(text.call, deployment, text.words) for text in texts]
        wanted = [
            Beside(text.call.tenant, text.call.id, text.run, text.number, reserve)
            for text, reserve in zip(texts, reserves, strict=True)
            if reserve is not None
        ]
        overs = iter(await self._ports.budgets.hold(wanted) if wanted else ())
        found: list[_Paid | Exception] = []
        for text, reserve in zip(texts, reserves, strict=True):
            over = None if reserve is None else next(overs)
            found.append(_Paid(text, reserve is not None) if over is None else _unpaid(over.budget))
        return found

    async def _call(self, paid: Sequence[_Paid]) -> list[Vector]:
        """One call for all; each is billed its share. What is not billed though it may have cost stays held."""
        embedder, sent_at, started = self._ports.embedder, self._ports.purse.clock(), self._ports.seconds()
        try:
            found = await embedder.embed([one.text.words for one in paid])
        except ModelError as error:
            outcome = error.outcome if error.outcome in ("rate_limited", "timeout") else "error"
            self._count(outcome, self._ports.seconds() - started)
            self._resting_until = self._ports.seconds() + REST_S
            if not may_have_cost(error):
                await self._book([_bill(one, Decimal(0), None) for one in paid if one.held])
            raise
        seconds = self._ports.seconds() - started
        self._count("ok", seconds)
        ms = round(seconds * 1000)
        bills = [self._billed(one, vector, sent_at, ms) for one, vector in zip(paid, found, strict=True)]
        await self._book(bills)
        return [Vector(vector.vector, bill) for vector, bill in zip(found, bills, strict=True)]

    async def _book(self, bills: Sequence[Bill]) -> None:
        """What was paid for is kept until it is stored."""
        if bills:
            await persist(lambda: self._ports.budgets.book(bills))

    def _billed(self, one: _Paid, vector: Embedded, sent_at: datetime, latency_ms: int) -> Bill:
        deployment, tokens = self._ports.embedder.deployment, Tokens(input=vector.tokens)
        price = cost(deployment.price_at(sent_at), tokens)
        provider, model = deployment.provider, deployment.model
        self._ports.metrics.count("cost_usd", float(price), provider=provider, model=model)
        self._ports.metrics.count("tokens", vector.tokens, provider=provider, model=model, kind="input")
        called = Called(EMBEDDING, deployment, "ok", tokens, price, latency_ms, sent_at)
        return _bill(one, price, attempt_done(one.text.call, one.text.run, called).record)

    def _count(self, outcome: str, seconds: float) -> None:
        provider, model = self._ports.embedder.deployment.provider, self._ports.embedder.deployment.model
        self._ports.metrics.count("provider_calls", provider=provider, model=model, outcome=outcome)
        self._ports.metrics.observe("provider_seconds", seconds, provider=provider, model=model)


def _bill(one: _Paid, price: Decimal, record: bytes | None) -> Bill:
    text = one.text
    call = text.call
    return Bill(call.tenant, call.id, text.run, text.number, price, one.held, record, call.traceparent or "")


def _unpaid(budget: str) -> ModelError:
    reason = f"the budget {budget!r} has too little left to turn the question into a vector"
    return ModelError(reason, outcome="error", sent=False, retryable=False)
