"""Budgets in PostgreSQL. What reserves from them is part of the ledger's statements: reserving.py."""

from collections.abc import Sequence
from typing import Any

from connectors.postgres.pool import Pool, columns
from connectors.postgres.queries import statements
from domain.budgets.model import Budget, Notice, Rules, Standing
from domain.budgets.rules import span

_SQL = statements("budgets")
_FIELDS = ("tenant", "name", "limit_usd", "period", "api_key_id", "template", "model", "serial")


class PostgresBudgets:
    """Implements domain.ports.Budgets."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def rules(self) -> Rules:
        rows = await self._pool.fetch(_SQL["rules"])
        return Rules(rows[0]["version"], tuple(_budget(row) for row in rows if row["tenant"] is not None))

    async def put(self, budget: Budget) -> bool:
        facts = (budget.tenant, budget.name, budget.limit_usd, budget.period)
        row = await self._pool.row(_SQL["put"], *facts, budget.api_key_id, budget.template, budget.model)
        return row is not None and bool(row["made"])

    async def delete(self, tenant: str, name: str) -> bool:
        return bool(await self._pool.fetch(_SQL["delete"], tenant, name))

    async def standings(self, tenant: str) -> list[Standing]:
        return [_standing(row) for row in await self._pool.fetch(_SQL["standings"], tenant)]

    async def fold(self, limit: int) -> int:
        row = await self._pool.row(_SQL["fold"], limit)
        return 0 if row is None else int(row["booked"])

    async def notices(self, limit: int) -> list[Notice]:
        return [Notice(*row) for row in await self._pool.fetch(_SQL["notices"], limit)]

    async def told(self, notices: Sequence[Notice]) -> None:
        if notices:
            keys = [(notice.tenant, notice.serial, notice.label, notice.mark) for notice in notices]
            await self._pool.fetch(_SQL["told"], *columns(keys, 4))


def _budget(row: Any) -> Budget:
    return Budget(**{name: row[name] for name in _FIELDS})


def _standing(row: Any) -> Standing:
    start, end = span(row["period"], row["label"])
    return Standing(_budget(row), start, end, row["spent_usd"], row["held_usd"], row["created_at"])
