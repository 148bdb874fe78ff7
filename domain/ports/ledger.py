"""The authority over requests, attempts and money."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from domain.budgets.model import Over
from domain.errors import Permanent
from domain.ledger.model import (
    Aside,
    Attempt,
    Cancel,
    Cancelling,
    Claim,
    Claimed,
    Finished,
    Next,
    Park,
    Release,
    RequestRecord,
    Settled,
    Settlement,
    Take,
    Taken,
    Woken,
)


class Ledger(Protocol):
    """The authority over requests, attempts and money. Batches are ordered; answers are in the batch's order.

    Every verb is one transaction and idempotent; a bad row never fails its neighbours (rule L16): the batch is
    bisected, and the answer in the place of a row that cannot be stored is a Permanent error.
    """

    async def claim(self, batch: Sequence[Claim]) -> list[Claimed | Permanent]: ...

    async def take(self, batch: Sequence[Take]) -> list[Taken | Permanent]:
        """Take requests under this incarnation's lease and record the first attempt as started (L6, L8, L9).

        A row under another live lease is parked until that lease ends (L7). What an attempt may cost is reserved
        with it, or it is not begun: OVER_BUDGET (L12).
        """
        ...

    async def go_on(self, batch: Sequence[Next]) -> list[int | Over | Permanent]:
        """Complete an attempt and start the next in the same epoch: its number, or 0 when fenced (do not call).

        Over: a budget has too little left for it; nothing was written (rule L12).
        """
        ...

    async def aside(self, batch: Sequence[Aside]) -> None:
        """Complete attempts beside which others ran: unconditionally, before the run goes on or is settled (L8)."""
        ...

    async def settle(self, batch: Sequence[Settlement]) -> list[Settled | Permanent]: ...

    async def park(self, batch: Sequence[Park]) -> list[bool | Permanent]:
        """True where the request is now waiting, False where the epoch was not ours any more."""
        ...

    async def cancel(self, batch: Sequence[Cancel]) -> list[Cancelling | Permanent]:
        """Ask for the end of requests (rule L11). Who takes, holds or sweeps one next settles it as cancelled."""
        ...

    async def cancelled(self, limit: int) -> list[Woken]:
        """Requests to be cancelled that no live worker holds: to be settled under their epoch. Each is looked at
        again after a second, until it is final."""
        ...

    async def abandoned(self) -> list[tuple[str, str, int]]:
        """(tenant, id, run) to be cancelled that this worker holds or held a moment ago: its calls are to be left."""
        ...

    async def wake(self, limit: int) -> list[Woken]:
        """Up to `limit` due requests, in due order, made accepted under a new epoch. Safe from several workers.

        A woken row that is not taken within 30 s is found again by `stray` (rule L15).
        """
        ...

    async def gates(self, limit: int, after: tuple[str, str] = ("", "")) -> list[tuple[str, str]]:
        """(tenant, gate) that somebody waits for, in order; those behind `after`."""
        ...

    async def let_in(self, batch: Sequence[Release]) -> list[Woken]:
        """Those who wait for places that are free, as `wake`: of each gate the earliest deadline first, then who came
        first, and of the gates one each in turn. Never by the time alone."""
        ...

    async def stray(self, limit: int) -> list[Woken]:
        """Unfinished requests nobody works on: lease dead, or accepted for more than 30 s (rule L15)."""
        ...

    async def unemitted(self, limit: int) -> list[Finished]:
        """Final requests settled more than 10 s ago and not known to be produced (rule L15)."""
        ...

    async def overdue(self, limit: int) -> list[Woken]:
        """Requests whose deadline passed while nobody works on them: to be settled as deadline_exceeded."""
        ...

    async def emitted(self, batch: Sequence[tuple[str, str, int]]) -> None:
        """(tenant, id, run) whose result is durable on its topic."""
        ...

    async def register(self, incarnation: str, stage: str) -> None:
        """Start this worker's lease (rule L6). `incarnation` is new at every start of a process."""
        ...

    async def renew(self) -> None:
        """Extend this worker's lease by 10 s of the database's clock."""
        ...

    async def release(self) -> None:
        """End this worker's lease: what it still holds is stray at once."""
        ...

    async def tried(self, batch: Sequence[tuple[str, str, int]]) -> list[tuple[Attempt, ...]]:
        """The attempts of each (tenant, id, run) that is the latest of its request, in their order; else none.

        Under the epoch of its call a take finds the same ones: only outcomes nobody had heard of come in later (L8).
        """
        ...

    async def find(self, tenant: str, id: str) -> RequestRecord | None: ...

    async def next_due(self) -> datetime | None:
        """When the earliest waiting request is due."""
        ...
