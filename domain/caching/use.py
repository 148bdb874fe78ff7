"""How much the cache answers, by template."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class CacheUse:
    """Of the completed requests of a template (None: of none): those that were not called for, and what that saved.

    age_s is the sum of the ages of the answers that came from the cache.
    """

    template: str | None
    completed: int
    exact: int
    semantic: int
    coalesced: int
    saved_usd: Decimal
    age_s: float

    @property
    def hit_rate(self) -> float:
        """The share that was not called for."""
        return (self.exact + self.semantic + self.coalesced) / self.completed if self.completed else 0.0

    @property
    def mean_age_s(self) -> float:
        kept = self.exact + self.semantic
        return self.age_s / kept if kept else 0.0
