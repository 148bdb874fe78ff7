"""What `tenants` and `keys` do."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TypeVar

import typer

from cli._limit_options import LimitOptions
from cli._output import print_json, print_rows, print_table
from cli._stack import Stack
from cli._target import Target, find
from connectors.audited.postgres import Repositories
from connectors.clickhouse.answers import store_answers
from connectors.clickhouse.client import ClickHouse
from connectors.postgres.pool import connect
from domain.accounts.keys import issue, pepper
from domain.accounts.model import Allowance, Plan, Tenant
from domain.accounts.scopes import checked
from domain.errors import Conflict, InvalidRequest
from domain.ports import Accounts
from topics.codec import is_tenant_name

T = TypeVar("T")
LIMITS = ("requests_per_minute", "burst", "tokens_per_minute", "token_burst", "concurrency")
TENANT_COLUMNS = ("name", "active", "plan", *LIMITS, "store_answers", "cache_ttl_s")
KEY_COLUMNS = ("id", "name", "hint", "scopes", "created_at", "revoked_at", *LIMITS)


def create_tenant(stack: Stack, tenant: Tenant, if_missing: bool) -> None:
    """Raises Conflict when it exists, unless `if_missing`."""
    if not is_tenant_name(tenant.name):
        raise typer.BadParameter(f"{tenant.name!r}: at most 64 letters, digits, '.', '_' and '-', the first no sign")
    target = find(stack)

    async def store(accounts: Accounts) -> bool:
        await _check_plan(accounts, tenant.plan)
        return await accounts.create_tenant(tenant)

    created = _with_accounts(target, store)
    if not created and not if_missing:
        raise Conflict(f"the tenant {tenant.name!r} exists already; nothing was changed")
    if created and tenant.store_answers:
        asyncio.run(_store_answers(target, tenant.name))
    print(f"created {tenant.name}" if created else f"{tenant.name} exists")


def limit_tenant(stack: Stack, name: str, options: LimitOptions, plan: str | None, clear: bool) -> None:
    """Raises Conflict when there is no such tenant or plan."""

    async def store(accounts: Accounts) -> bool:
        tenant = await accounts.tenant(name)
        if tenant is None:
            return False
        await _check_plan(accounts, plan)
        own = Allowance() if clear else Allowance(*(getattr(tenant, limit) for limit in LIMITS))
        return await accounts.limit_tenant(name, options.over(own), plan or (None if clear else tenant.plan))

    if not _with_accounts(find(stack), store):
        raise Conflict(f"there is no tenant {name!r}: structured-prompt tenants create {name}")
    print(f"limits of {name} are set; they hold within 5 s")


def limit_key(stack: Stack, tenant: str | None, id: str, options: LimitOptions, clear: bool) -> None:
    """Raises Conflict when there is no such key."""
    target = find(stack)
    owner = target.tenant_or(tenant)

    async def store(accounts: Accounts) -> bool:
        key = next((one for one in await accounts.keys(owner) if one.id == id), None)
        if key is None:
            return False
        return await accounts.limit_key(owner, id, options.over(Allowance() if clear else key.allowance))

    if not _with_accounts(target, store):
        raise Conflict(f"{owner} has no key {id}; `keys list --tenant {owner}` shows them")
    print(f"limits of {id} are set; they hold within 5 s")


def set_plan(stack: Stack, name: str, options: LimitOptions) -> None:
    plan = Plan(name, options.over(Allowance()))
    _with_accounts(find(stack), lambda accounts: accounts.put_plan(plan))
    print(f"the plan {name} is set; it holds within 5 s for every tenant that has it")


def list_plans(stack: Stack, as_json: bool) -> None:
    plans = _with_accounts(find(stack), lambda accounts: accounts.plans())
    rows = [{"name": plan.name, **asdict(plan.allowance)} for plan in plans]
    print_rows(("name", *LIMITS), rows, as_json)


async def _check_plan(accounts: Accounts, name: str | None) -> None:
    if name is not None and name not in {plan.name for plan in await accounts.plans()}:
        raise Conflict(f"there is no plan {name!r}: structured-prompt plans set {name} --requests-per-minute …")


def list_tenants(stack: Stack, as_json: bool) -> None:
    tenants = _with_accounts(find(stack), lambda accounts: accounts.tenants())
    _show(tenants, TENANT_COLUMNS, as_json)


def create_key(
    stack: Stack, tenant: str | None, name: str, scopes: Sequence[str], options: LimitOptions, as_json: bool
) -> None:
    """Raises Conflict when the tenant does not exist, InvalidSettings without a pepper, BadParameter for no scope."""
    target = find(stack)
    owner = target.tenant_or(tenant)
    secret = pepper(target.settings.key_pepper.get_secret_value())
    issued = issue(owner, name, secret, datetime.now(UTC), _checked(scopes))

    async def store(accounts: Accounts) -> bool:
        if await accounts.tenant(owner) is None:
            return False
        await accounts.create_key(replace(issued.key, **asdict(options.over(Allowance()))))
        return True

    if not _with_accounts(target, store):
        raise Conflict(f"there is no tenant {owner!r}: structured-prompt tenants create {owner}")
    if as_json:
        shown = {"key": issued.secret, "id": issued.key.id, "tenant": owner, "name": name}
        print_json({**shown, "scopes": issued.key.scopes})
    else:
        print(f"{issued.secret}\n\n{issued.key.id} of {owner}; this is the only time it is shown")


def revoke_key(stack: Stack, tenant: str | None, id: str) -> None:
    """Raises Conflict when there is no such key."""
    target = find(stack)
    owner = target.tenant_or(tenant)
    if not _with_accounts(target, lambda accounts: accounts.revoke_key(owner, id, datetime.now(UTC))):
        raise Conflict(f"{owner} has no key {id} that could be revoked; `keys list --tenant {owner}` shows them")
    print(f"revoked {id}")


def list_keys(stack: Stack, tenant: str | None, as_json: bool) -> None:
    target = find(stack)
    owner = target.tenant_or(tenant)
    _show(_with_accounts(target, lambda accounts: accounts.keys(owner)), KEY_COLUMNS, as_json)


def _show(found: Sequence[object], columns: Sequence[str], as_json: bool) -> None:
    rows = [{name: getattr(one, name) for name in columns} for one in found]
    if as_json:
        print_json(rows)
    else:
        print_table(columns, [tuple(_words(value) for value in row.values()) for row in rows])


def _words(value: object) -> object:
    return " ".join(value) if isinstance(value, tuple) else value


def _checked(scopes: Sequence[str]) -> tuple[str, ...]:
    try:
        return checked(scopes)
    except InvalidRequest as error:
        raise typer.BadParameter(str(error)) from None


def _with_accounts(target: Target, work: Callable[[Accounts], Awaitable[T]]) -> T:
    async def run() -> T:
        pool = await connect(target.settings.database_url.get_secret_value(), 1)
        try:
            return await work(Repositories(pool).accounts)
        finally:
            await pool.close()

    return asyncio.run(run())


async def _store_answers(target: Target, tenant: str) -> None:
    clickhouse = ClickHouse(target.settings.clickhouse_url.get_secret_value())
    await clickhouse.open()
    try:
        await store_answers(clickhouse, tenant, True)
    finally:
        await clickhouse.close()
