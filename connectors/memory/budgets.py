"""Budgets in this process."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.memory import spending
from connectors.memory.store import MemoryStore, StoredBill, StoredBudget
from domain.budgets.model import Beside, Bill, Budget, Notice, Over, Rules, Standing
from domain.budgets.rules import label, span

_TOLD_AGAIN = timedelta(seconds=30)


class MemoryBudgets:
    """Implements domain.ports.Budgets over `store`; `now` is the store's clock."""

    def __init__(self, store: MemoryStore, now: Callable[[], datetime]) -> None:
        self._store = store
        self._now = now

    async def rules(self) -> Rules:
        found = sorted(self._store.budgets)
        return Rules(self._store.budget_version, tuple(self._store.budgets[key].budget for key in found))

    async def version(self) -> int:
        return self._store.budget_version

    async def hold(self, batch: Sequence[Beside]) -> list[Over | None]:
        return [self._hold(one) for one in batch]

    async def book(self, batch: Sequence[Bill]) -> None:
        for one in batch:
            key = (one.tenant, one.id, one.run, one.number)
            if one.frees:
                spending.free(self._store, key, one.cost_usd)
            if one.record is not None:
                self._store.bills.setdefault(key, StoredBill(one, self._now() + _TOLD_AGAIN))

    async def unproduced(self, limit: int) -> list[Bill]:
        now = self._now()
        due = [one for one in self._store.bills.values() if one.look_at <= now][:limit]
        for one in due:
            one.look_at = now + _TOLD_AGAIN
        return [replace(one.bill, cost_usd=Decimal(0), frees=False) for one in due]

    async def produced(self, batch: Sequence[Bill]) -> None:
        for one in batch:
            self._store.bills.pop((one.tenant, one.id, one.run, one.number), None)

    async def put(self, budget: Budget) -> bool:
        store, key = self._store, (budget.tenant, budget.name)
        store.budget_version += 1
        before = store.budgets.get(key)
        serial = before.budget.serial if before else store.budget_version
        made_at = before.created_at if before else self._now()
        store.budgets[key] = StoredBudget(replace(budget, serial=serial), made_at)
        self._ask_again(budget.tenant)
        return before is None

    async def delete(self, tenant: str, name: str) -> bool:
        if self._store.budgets.pop((tenant, name), None) is None:
            return False
        self._store.budget_version += 1
        self._ask_again(tenant)
        return True

    async def standings(self, tenant: str) -> list[Standing]:
        return [self._standing(one) for key, one in sorted(self._store.budgets.items()) if key[0] == tenant]

    async def fold(self, limit: int) -> int:
        return spending.fold(self._store, limit, self._now())

    async def notices(self, limit: int) -> list[Notice]:
        now = self._now()
        due = [one for one in self._store.notices.values() if not one.told and one.look_at <= now][:limit]
        for one in due:
            one.look_at = now + _TOLD_AGAIN
        return [one.notice for one in due]

    async def told(self, notices: Sequence[Notice]) -> None:
        for notice in notices:
            self._store.notices[notice.tenant, notice.serial, notice.label, notice.mark].told = True

    def _hold(self, one: Beside) -> Over | None:
        row, now = self._store.requests.get((one.tenant, one.id)), self._now()
        if row is None:
            return None
        charged_at = now if row.waited_for_budget else row.claimed_at
        return spending.reserve(self._store, (one.tenant, one.id, one.run, one.number), one.reserve, charged_at, now)

    def _ask_again(self, tenant: str) -> None:
        for key, wait in self._store.waiting.items():
            if key[0] == tenant and wait.reason == "budget":
                wait.not_before = min(wait.not_before, self._now())

    def _standing(self, one: StoredBudget) -> Standing:
        name = label(one.budget.period, self._now())
        account = self._store.accounts.get((one.budget.tenant, one.budget.serial, name))
        spent, held = (account.spent_usd, account.held_usd) if account else (Decimal(0), Decimal(0))
        return Standing(one.budget, *span(one.budget.period, name), spent, held, one.created_at)
