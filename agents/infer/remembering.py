"""What of an answer the cache is given once it is settled (rule L13)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from domain.caching.entry import lifetime, remembered
from domain.errors import Unavailable
from domain.ledger.model import State
from domain.ledger.results import Ending, Spent
from domain.metrics import Metrics
from domain.ports import Cache
from topics.base import format_money
from topics.call import PromptCall

log = structlog.get_logger("infer")


@dataclass(frozen=True, slots=True)
class Answer:
    """An entry of the cache, for so many seconds."""

    key: str
    entry: bytes
    ttl_s: int


class Remembering:
    """Writes to the cache; what cannot be written is asked again one day, and nothing else follows from it."""

    def __init__(self, cache: Cache, ttl: timedelta, metrics: Metrics) -> None:
        self._cache = cache
        self._ttl = ttl
        self._metrics = metrics

    def answer(self, call: PromptCall, ending: Ending, spent: Spent, now: datetime) -> Answer | None:
        """None for what nobody may be answered with again, and for what came from the cache."""
        if ending.state is not State.COMPLETED or ending.cached is not None or call.cache_key is None:
            return None
        ttl = lifetime(int(self._ttl.total_seconds()), call.cache_ttl_s)
        took, cost = spent.provider_ms / 1000, format_money(spent.cost_usd)
        return Answer(call.cache_key, remembered(ending, now.timestamp(), ttl, took, cost), ttl)

    async def write(self, answers: Sequence[Answer]) -> None:
        by_ttl: dict[int, list[tuple[str, bytes]]] = {}
        for one in answers:
            by_ttl.setdefault(one.ttl_s, []).append((one.key, one.entry))
        try:
            for ttl, entries in by_ttl.items():
                await self._cache.put_many(entries, timedelta(seconds=ttl))
        except Unavailable as error:
            self._metrics.count("cache_errors")
            log.warning("cache_not_written", reason=str(error))
