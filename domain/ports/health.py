"""How providers are, as the whole fleet sees it."""

from collections.abc import Sequence
from typing import Protocol

from domain.routing.health import Report


class HealthBoard(Protocol):
    """Each worker writes what it sees once a second; what is down is down for all. An entry lasts 15 s."""

    async def tell(self, worker: str, reports: Sequence[Report]) -> None:
        """Replace what this worker said of these deployments."""
        ...

    async def look(self) -> list[Report]:
        """What every worker said lately."""
        ...

    async def down(self, deployments: Sequence[str]) -> dict[str, float]:
        """Which of them are down, and since when (seconds since 1970)."""
        ...

    async def take_down(self, deployment: str, since: float) -> bool:
        """It is down, for 15 s; False when that was known."""
        ...

    async def keep_down(self, deployment: str) -> None:
        """For 15 s more, unless somebody brought it up meanwhile."""
        ...

    async def bring_up(self, deployment: str) -> bool:
        """It is up again; False when that was known."""
        ...

    async def probe(self, deployment: str) -> bool:
        """Whether this worker may send the one call of the next five seconds."""
        ...
