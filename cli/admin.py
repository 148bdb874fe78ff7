"""`topics`, `migrate`, `tenants`, `keys`, `dead-letters`: operations on the engines themselves."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import typer

from cli._options import expanded
from cli._output import print_json, print_table
from cli._target import Target
from domain.errors import Conflict
from domain.ports import Accounts

T = TypeVar("T")
AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
TenantArgument = Annotated[str, typer.Argument(metavar="TENANT", help="Letters, digits, '.', '_' and '-'.")]
TenantOption = Annotated[str | None, typer.Option("--tenant", help="Whose.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    from cli import letters

    app.command()(expanded(migrate))
    for name, help, commands in (
        ("topics", "The topics on the brokers.", (apply,)),
        ("tenants", "Customers.", (create_tenant, list_tenants)),
        ("keys", "API keys.", (create_key, revoke_key, list_keys)),
    ):
        group = typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)
        for command in commands:
            group.command(command.__name__.partition("_")[0])(expanded(command))
        app.add_typer(group, name=name)
    letters.register(app)


def apply(
    target: Target,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when an existing topic differs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create missing topics and say what differs from the table. Never changes or deletes one."""
    from connectors.kafka.admin import apply as apply_table
    from topics.table import TABLE

    reports = apply_table(target.settings, TABLE)
    if as_json:
        print_json([{"name": r.name, "state": r.state, "differences": r.differences} for r in reports])
    else:
        print_table(("topic", "state", "differences"), [(r.name, r.state, "; ".join(r.differences)) for r in reports])
    if strict and any(report.state == "differs" for report in reports):
        raise typer.Exit(1)


def migrate(target: Target) -> None:
    """Bring PostgreSQL and ClickHouse to this version. Safe to repeat, and from several machines at once."""
    from connectors.clickhouse.migrate import upgrade as upgrade_clickhouse
    from connectors.postgres.migrate import upgrade as upgrade_postgres

    settings = target.settings
    upgrade_postgres(settings.database_url.get_secret_value())
    print("PostgreSQL is up to date")
    upgrade_clickhouse(settings.clickhouse_url.get_secret_value())
    print("ClickHouse is up to date")


def create_tenant(
    target: Target,
    name: TenantArgument,
    requests_per_minute: Annotated[int | None, typer.Option(min=1, help="Limit; the settings' default else.")] = None,
    burst: Annotated[int | None, typer.Option(min=1, help="Requests at once; the settings' default else.")] = None,
    store_answers: Annotated[bool, typer.Option("--store-answers", help="Keep answers in ClickHouse too.")] = False,
    if_missing: Annotated[bool, typer.Option("--if-missing", help="No error when it exists.")] = False,
) -> None:
    """Create a tenant; its requests are accepted from now on."""
    from domain.accounts.model import Tenant
    from topics.codec import is_tenant_name

    if not is_tenant_name(name):
        raise typer.BadParameter(f"{name!r}: at most 64 letters, digits, '.', '_' and '-', the first no sign")
    tenant = Tenant(name, requests_per_minute=requests_per_minute, burst=burst, store_answers=store_answers)
    created = _with_accounts(target, lambda accounts: accounts.create_tenant(tenant))
    if not created and not if_missing:
        raise Conflict(f"the tenant {name!r} exists already; nothing was changed")
    print(f"created {name}" if created else f"{name} exists")


def list_tenants(target: Target, as_json: AsJson = False) -> None:
    """Every tenant with its limits."""
    tenants = _with_accounts(target, lambda accounts: accounts.tenants())
    names = ("name", "active", "requests_per_minute", "burst", "store_answers")
    rows = [{name: getattr(tenant, name) for name in names} for tenant in tenants]
    _show(rows, names, as_json)


def create_key(
    target: Target,
    tenant: TenantOption = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "cli",
    as_json: AsJson = False,
) -> None:
    """Create an API key. It is printed once and stored only as a keyed hash."""
    from domain.accounts.keys import issue, pepper

    owner = target.tenant_or(tenant)
    issued = issue(owner, name, pepper(target.settings.key_pepper.get_secret_value()), datetime.now(UTC))

    async def store(accounts: Accounts) -> bool:
        if await accounts.tenant(owner) is None:
            return False
        await accounts.create_key(issued.key)
        return True

    if not _with_accounts(target, store):
        raise Conflict(f"there is no tenant {owner!r}: structured-prompt tenants create {owner}")
    if as_json:
        print_json({"key": issued.secret, "id": issued.key.id, "tenant": owner, "name": name})
    else:
        print(f"{issued.secret}\n\n{issued.key.id} of {owner}; this is the only time it is shown")


def revoke_key(
    target: Target,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it: key_…")],
    tenant: TenantOption = None,
) -> None:
    """Refuse a key from now on, within 5 s everywhere."""
    owner = target.tenant_or(tenant)
    if not _with_accounts(target, lambda accounts: accounts.revoke_key(owner, id, datetime.now(UTC))):
        raise Conflict(f"{owner} has no key {id} that could be revoked; `keys list --tenant {owner}` shows them")
    print(f"revoked {id}")


def list_keys(target: Target, tenant: TenantOption = None, as_json: AsJson = False) -> None:
    """The keys of a tenant: never the secret, only its first characters."""
    owner = target.tenant_or(tenant)
    keys = _with_accounts(target, lambda accounts: accounts.keys(owner))
    names = ("id", "name", "hint", "created_at", "revoked_at")
    _show([{name: getattr(key, name) for name in names} for key in keys], names, as_json)


def _show(rows: list[dict[str, object]], names: tuple[str, ...], as_json: bool) -> None:
    if as_json:
        print_json(rows)
    else:
        print_table(names, [tuple(row.values()) for row in rows])


def _with_accounts(target: Target, work: Callable[[Accounts], Awaitable[T]]) -> T:
    from connectors.postgres.accounts import PostgresAccounts
    from connectors.postgres.pool import connect

    async def run() -> T:
        pool = await connect(target.settings.database_url.get_secret_value(), 1)
        try:
            return await work(PostgresAccounts(pool))
        finally:
            await pool.close()

    return asyncio.run(run())
