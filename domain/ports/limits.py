"""Fleet-wide limits."""

from collections.abc import Sequence
from typing import Protocol

from domain.admission.model import Charge


class Limiter(Protocol):
    """Fleet-wide GCRA (ITU-T I.371) on the store's clock."""

    async def admit(self, batch: Sequence[Charge]) -> list[float]:
        """Seconds until each may pass; 0 is now. A positive wait is already reserved, unless `reject` was set."""
        ...

    async def peek(self, charge: Charge) -> float:
        """Seconds a new event would wait; spends nothing."""
        ...
