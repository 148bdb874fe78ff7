"""An answer as the cache keeps it, how long it is good for, and when it is asked for again before that. Pure."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from domain.ledger.model import State
from domain.ledger.results import Ending
from topics.codec import encode

Verdict = Literal["fresh", "early", "expired"]


@dataclass(slots=True)
class Entry:
    """An answer, with what it took. `at` is when it came, in seconds since 1970; `ttl` and `took` are seconds."""

    output: Any
    provider: str | None
    model: str | None
    at: float = 0.0
    ttl: float = math.inf
    took: float = 0.0
    cost_usd: str = "0"

    def verdict(self, now: float, draw: float) -> Verdict:
        """Whether it may be given to a request at `now`. `draw` is random in (0, 1].

        Shortly before its end one request or another asks anew ('early') while the others are still given this answer,
        so that its end finds a new one and nobody waits: the more often an answer is wanted and the longer it takes,
        the earlier (XFetch: Vattani, Chierichetti, Lowenstein, Optimal Probabilistic Cache Stampede Prevention, 2015).
        Those who ask anew at the same time ask once (rule L14).
        """
        end = self.at + self.ttl
        if now >= end:
            return "expired"
        return "early" if now - self.took * math.log(draw) >= end else "fresh"

    def ending(self, cached: Literal["exact", "semantic"], now: float) -> Ending:
        """The end of a request that it answers at `now`."""
        return Ending(
            State.COMPLETED,
            self.output,
            cached=cached,
            provider=self.provider,
            model=self.model,
            age_s=max(0.0, now - self.at) if self.at else 0.0,
            saved_usd=self.cost_usd,
        )


def remembered(ending: Ending, at: float, ttl: float, took: float, cost_usd: str) -> bytes:
    """A completed ending for the cache."""
    fields = {"output": ending.output, "model": ending.model, "provider": ending.provider}
    return encode({**fields, "at": round(at, 3), "ttl": ttl, "took": round(took, 3), "cost_usd": cost_usd})


def read(value: bytes) -> Entry:
    """What `remembered` wrote; an entry of an earlier version tells neither its age nor its cost."""
    found = orjson.loads(value)
    if "at" not in found:
        return Entry(found["output"], found["provider"], found["model"])
    kept = (found["at"], found["ttl"], found["took"], found["cost_usd"])
    return Entry(found["output"], found["provider"], found["model"], *kept)


def lifetime(operator_s: int, *others: int | None) -> int:
    """Seconds an answer is kept, 0 for never: the shortest of its template's and its tenant's, else the operator's."""
    given = [seconds for seconds in others if seconds is not None]
    return min(given) if given else operator_s
