"""What `budgets` does."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from decimal import Decimal, InvalidOperation
from typing import TypeVar, get_args

import typer

from cli._budget_options import Charged, Terms
from cli._output import print_json, print_rows
from cli._stack import Stack
from cli._target import Target, find
from connectors.audited.postgres import Repositories
from connectors.postgres.accounts import PostgresAccounts
from connectors.postgres.pool import Pool, connect
from domain.budgets.model import Budget, Period
from domain.budgets.view import shown
from domain.errors import Conflict

T = TypeVar("T")
COLUMNS = (
    "name", "limit_usd", "period", "api_key_id", "template", "model", "spent_usd", "reserved_usd", "remaining_usd",
    "period_end",
)  # fmt: skip
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LARGEST = Decimal(1_000_000_000)


def create(stack: Stack, name: str, limit: str, charged: Charged, terms: Terms) -> None:
    """Raises Conflict where the tenant does not exist, or the budget does and may not be replaced."""
    target = find(stack)
    budget = _budget(name, limit, charged, terms.period, target.tenant_or(charged.tenant))

    async def work(pool: Pool) -> dict[str, object]:
        budgets = Repositories(pool).budgets
        if await PostgresAccounts(pool).tenant(budget.tenant) is None:
            raise Conflict(f"there is no tenant {budget.tenant!r}: structured-prompt tenants create {budget.tenant}")
        there = {one.budget.name for one in await budgets.standings(budget.tenant)}
        if budget.name in there and not terms.replace:
            raise Conflict(f"{budget.tenant} has a budget {budget.name!r} already; --replace changes it")
        await budgets.put(budget)
        return next(shown(one) for one in await budgets.standings(budget.tenant) if one.budget.name == budget.name)

    made = _with_pool(target, work)
    if terms.as_json:
        print_json(made)
    else:
        print(f"{budget.tenant} may spend ${made['limit_usd']} a {budget.period} on {budget.name}")


def listing(stack: Stack, tenant: str | None, as_json: bool) -> None:
    target = find(stack)
    owner = target.tenant_or(tenant)
    rows = [shown(one) for one in _with_pool(target, lambda pool: Repositories(pool).budgets.standings(owner))]
    print_rows(COLUMNS, rows, as_json)


def delete(stack: Stack, name: str, tenant: str | None, as_json: bool) -> None:
    """Raises Conflict when there is none."""
    target = find(stack)
    owner = target.tenant_or(tenant)
    if not _with_pool(target, lambda pool: Repositories(pool).budgets.delete(owner, name)):
        raise Conflict(f"{owner} has no budget {name!r}; `budgets list --tenant {owner}` shows them")
    if as_json:
        print_json({"deleted": name})
    else:
        print(f"deleted {name}")


def _budget(name: str, limit: str, charged: Charged, per: str, tenant: str) -> Budget:
    """Raises typer.BadParameter."""
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(f"{name!r}: at most 64 letters, digits, '.', '_' and '-', the first no sign")
    period = next((one for one in get_args(Period) if one == per), None)
    if period is None:
        raise typer.BadParameter(f"--per {per}: hour, day or month")
    try:
        dollars = Decimal(limit)
    except InvalidOperation:
        dollars = Decimal(-1)
    if not 0 <= dollars <= _LARGEST:
        raise typer.BadParameter(f"--limit {limit}: US dollars, as in 250 or 0.05")
    return Budget(tenant, name, dollars, period, charged.key, charged.template, charged.model)


def _with_pool(target: Target, work: Callable[[Pool], Awaitable[T]]) -> T:
    async def run() -> T:
        pool = await connect(target.settings.database_url.get_secret_value(), 1)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(run())
