"""Budgets: who may spend how much, what was spent, and what is to be told of it."""

from collections.abc import Sequence
from typing import Protocol

from domain.budgets.model import Beside, Bill, Budget, Notice, Over, Rules, Standing


class Budgets(Protocol):
    """Budgets beside the ledger, which reserves from them for attempts (rule L12). Tenants are walls."""

    async def rules(self) -> Rules:
        """All budgets and their version; a take that names an older version takes nothing."""
        ...

    async def version(self) -> int:
        """The version of the budgets of now."""
        ...

    async def hold(self, batch: Sequence[Beside]) -> list[Over | None]:
        """Reserve for calls that are no attempts, each in all its budgets or in none; None, or why not."""
        ...

    async def book(self, batch: Sequence[Bill]) -> None:
        """What they cost, for the roll-up, and their usage records until they are said to be produced."""
        ...

    async def unproduced(self, limit: int) -> list[Bill]:
        """Records booked 30 s ago or longer and not produced since; nobody else gets them for 30 s."""
        ...

    async def produced(self, batch: Sequence[Bill]) -> None:
        """Their records are durable on their topic."""
        ...

    async def put(self, budget: Budget) -> bool:
        """Make it, or change the one of that name, whose spending stays: True when it is new. Both count from the next
        take on; who waits for a budget of the tenant asks again at once."""
        ...

    async def delete(self, tenant: str, name: str) -> bool:
        """False when there is none."""
        ...

    async def standings(self, tenant: str) -> list[Standing]:
        """The budgets of a tenant by name, as they stand in the present period."""
        ...

    async def fold(self, limit: int) -> int:
        """Book up to `limit` ended attempts: what they cost takes the place of what was reserved. How many there were.

        Also finds which budgets reached a mark. Safe from several workers at once.
        """
        ...

    async def notices(self, limit: int) -> list[Notice]:
        """Marks to be told; nobody else gets them for 30 s."""
        ...

    async def told(self, notices: Sequence[Notice]) -> None:
        """They are durable on their topic."""
        ...
