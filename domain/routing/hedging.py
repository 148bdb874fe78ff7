"""When a second call is made beside a slow one, and of how many. Pure.

Hedged requests: Dean and Barroso, "The Tail at Scale", 2013. The budget is that of gRPC's retry throttling (A6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

ENOUGH = 20
"""Answers that must have been measured before anything is called slow."""
CALLS_A_HEDGE = 20
"""At most one second call in so many calls: 5 %, from the first call on."""
MOST_SAVED = 10
"""Second calls that may have been saved up, so that a provider that gets slow is not hit by more at once."""


def quantile(seconds: Sequence[float], percent: int) -> float | None:
    """What so many per cent of the answers took at most; None where too few are known to tell."""
    if len(seconds) < ENOUGH:
        return None
    return sorted(seconds)[ceil(len(seconds) * percent / 100) - 1]


@dataclass(slots=True)
class HedgeBudget:
    """Of one alias in one worker, in calls. So the share holds of the fleet as well."""

    saved: int = 0

    def earn(self) -> None:
        """A call is made."""
        self.saved = min(self.saved + 1, MOST_SAVED * CALLS_A_HEDGE)

    def spend(self) -> bool:
        """Whether a second call may be made; it is spent then."""
        if self.saved < CALLS_A_HEDGE:
            return False
        self.saved -= CALLS_A_HEDGE
        return True

    def give_back(self) -> None:
        """The second call was not made after all."""
        self.saved += CALLS_A_HEDGE
