"""What an attempt came to: its tokens, its price, how long it took. Counted, and ready for its row."""

from datetime import datetime
from decimal import Decimal

from agents.infer.work import Work
from domain.ledger.results import Called
from domain.metrics import Metrics
from domain.pricing.cost import cost
from domain.routing.model import Deployment, ModelReply, Tokens

_OUTCOMES = frozenset({"ok", "invalid_output", "refused", "length", "rate_limited", "timeout", "error", "unknown"})
_TOKEN_KINDS = ("input", "output", "cached_input", "cache_write", "reasoning")


class Till:
    """Prices attempts by the price of the moment they were sent."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def answered(self, work: Work, outcome: str, reply: ModelReply, sent_at: datetime, seconds: float) -> Called:
        """What came with an answer."""
        price = cost(work.deployment.price_at(sent_at), reply.tokens, reply.batch_price)
        called = self.called(work, outcome, sent_at, seconds, reply.provider_request_id)
        called.tokens, called.cost_usd = reply.tokens, price
        self._count(work.deployment, reply.tokens, price)
        return called

    def called(self, work: Work, outcome: str, sent_at: datetime, seconds: float, request_id: str | None) -> Called:
        """Without an answer that can be counted."""
        known = outcome if outcome in _OUTCOMES else "error"
        deployment = work.deployment
        self._metrics.observe("provider_seconds", seconds, provider=deployment.provider, model=deployment.model)
        self._metrics.count("provider_calls", provider=deployment.provider, model=deployment.model, outcome=known)
        ms = round(seconds * 1000)
        called = Called(work.attempt, deployment, known, Tokens(), Decimal(0), ms, sent_at, request_id)
        called.frees = work.reserved
        return called

    def _count(self, deployment: Deployment, tokens: Tokens, price: Decimal) -> None:
        provider, model = deployment.provider, deployment.model
        self._metrics.count("cost_usd", float(price), provider=provider, model=model)
        for kind in _TOKEN_KINDS:
            if count := getattr(tokens, kind):
                self._metrics.count("tokens", count, provider=provider, model=model, kind=kind)


def unsent(work: Work, now: datetime) -> Called:
    """An attempt that was recorded and not made."""
    return Called(work.attempt, work.deployment, "error", Tokens(), Decimal(0), 0, now, frees=work.reserved)
