"""Budgets in PostgreSQL. What reserves from them for attempts is part of the ledger's statements: reserving.py."""

from collections.abc import Container, Sequence
from decimal import Decimal
from typing import Any

from connectors.postgres.pool import Pool, Statements, columns
from connectors.postgres.queries import statements
from connectors.postgres.reserving import Asked, within_budgets
from domain.budgets.model import Beside, Bill, Budget, Notice, Over, Rules, Standing
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

    async def version(self) -> int:
        row = await self._pool.row(_SQL["version"])
        return 0 if row is None else int(row["version"])

    async def hold(self, batch: Sequence[Beside]) -> list[Over | None]:
        asked = [Asked(n, one.tenant, one.id, one.run, one.number, one.reserve) for n, one in enumerate(batch)]

        async def nothing(_: Statements, __: Container[int]) -> list[Asked]:
            return asked

        _, refused = await within_budgets(self._pool, nothing, list)
        return [refused.get(place) for place in range(len(batch))]

    async def book(self, batch: Sequence[Bill]) -> None:
        entries = sorted((*_key(one), one.cost_usd) for one in batch if one.frees)
        records = sorted((*_key(one), one.record, one.traceparent) for one in batch if one.record is not None)
        if not entries:
            await self._keep(self._pool, records)
            return
        async with self._pool.transaction() as database:
            await database.fetch(_SQL["entries"], *columns(entries, 5))
            await self._keep(database, records)

    async def _keep(self, database: Statements, records: Sequence[tuple[Any, ...]]) -> None:
        if records:
            await database.fetch(_SQL["keep_usage"], *columns(records, 6))

    async def unproduced(self, limit: int) -> list[Bill]:
        rows = await self._pool.fetch(_SQL["unproduced"], limit)
        return [
            Bill(
                row["tenant"],
                row["id"],
                row["run"],
                row["number"],
                Decimal(0),
                False,
                row["record"],
                row["traceparent"],
            )
            for row in rows
        ]

    async def produced(self, batch: Sequence[Bill]) -> None:
        if batch:
            await self._pool.fetch(_SQL["produced"], *columns(sorted(map(_key, batch)), 4))

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


def _key(bill: Bill) -> tuple[str, str, int, int]:
    return (bill.tenant, bill.id, bill.run, bill.number)


def _budget(row: Any) -> Budget:
    return Budget(**{name: row[name] for name in _FIELDS})


def _standing(row: Any) -> Standing:
    start, end = span(row["period"], row["label"])
    return Standing(_budget(row), start, end, row["spent_usd"], row["held_usd"], row["created_at"])
