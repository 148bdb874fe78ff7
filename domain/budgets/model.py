"""Budgets and what is reserved from them, as data. No I/O."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

Period = Literal["hour", "day", "month"]
PERIODS: tuple[Period, ...] = ("hour", "day", "month")
MARKS = (50, 80, 100)
"""Per cent of a budget whose crossing is told, once a period."""


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `limit_usd` in each `period` (UTC) for the calls of `tenant` that match all of what is not None.

    `model` is `provider/model`, `provider/*`, or the alias that requests name. `serial` is the store's: a budget that
    is deleted and made again has another one, and begins at nothing.
    """

    tenant: str
    name: str
    limit_usd: Decimal
    period: Period
    api_key_id: str | None = None
    template: str | None = None
    model: str | None = None
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Reserve:
    """What one attempt may cost at most, and the budgets (serials of its tenant) that must have it."""

    amount_usd: Decimal
    budgets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Beside:
    """A call for a run that is no attempt at its answer, as an embedding is; no attempt has a `number` below 0."""

    tenant: str
    id: str
    run: int
    number: int
    reserve: Reserve


@dataclass(frozen=True, slots=True)
class Bill:
    """What came of such a call. frees: money was held for it. record: its UsageRecord, None where nothing was sold."""

    tenant: str
    id: str
    run: int
    number: int
    cost_usd: Decimal
    frees: bool
    record: bytes | None
    traceparent: str


@dataclass(frozen=True, slots=True)
class Over:
    """Why a reservation was refused: `budget` has less left than `asked_usd` until its period ends at `until`.

    held: what others have reserved and may not use up is in the way. never: the whole budget would not do.
    """

    budget: str
    limit_usd: Decimal
    asked_usd: Decimal
    left_usd: Decimal
    until: datetime
    held: bool = False
    never: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget and how it stands in the period from `start` to `end`. `held_usd` is reserved and not spent yet."""

    budget: Budget
    start: datetime
    end: datetime
    spent_usd: Decimal
    held_usd: Decimal
    created_at: datetime

    @property
    def left_usd(self) -> Decimal:
        return max(Decimal(0), self.budget.limit_usd - self.spent_usd - self.held_usd)


@dataclass(frozen=True, slots=True)
class Rules:
    """All budgets as of `version`, which changes with each of them."""

    version: int
    budgets: tuple[Budget, ...]


@dataclass(frozen=True, slots=True)
class Notice:
    """A budget reached `mark` per cent of its limit in the period named `label`, at `at`: to be told once."""

    tenant: str
    serial: int
    label: str
    mark: int
    budget: str
    period: Period
    limit_usd: Decimal
    spent_usd: Decimal
    held_usd: Decimal
    at: datetime
