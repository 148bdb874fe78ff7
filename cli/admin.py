"""`topics`, `migrate`, `tenants`, `keys`, `dead-letters`: operations on the engines themselves."""

from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from cli import budgets, letters, schemas
from cli._limit_options import LimitOptions
from cli._options import expanded
from cli._output import print_json, print_table
from cli._stack import Stack

AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]
Tenant = Annotated[str | None, typer.Option(help="Whose; of an embedded stack demo.")]
PlanOf = Annotated[str | None, typer.Option(help="A plan, whose limits hold where the tenant has none of its own.")]
Scopes = Annotated[
    list[str] | None, typer.Option(help="All it may do, as requests:write; again for each. Everything unless given.")
]
Clear = Annotated[bool, typer.Option("--clear", help="Forget what is not given, instead of leaving it.")]


@dataclass(frozen=True)
class TenantOptions:
    """What a tenant has beside its limits."""

    plan: PlanOf = None
    store_answers: Annotated[bool, typer.Option("--store-answers", help="Keep answers in ClickHouse too.")] = False
    cache_ttl_s: Annotated[int | None, typer.Option(min=0, help="Seconds answers are kept; 0 for never.")] = None


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(expanded(migrate))
    for name, help, commands in (
        ("topics", "The topics on the brokers.", (apply,)),
        ("plans", "Limits that tenants share.", (set_plan, list_plans)),
        ("tenants", "Customers.", (create_tenant, limit_tenant, list_tenants)),
        ("keys", "API keys.", (create_key, limit_key, revoke_key, list_keys)),
    ):
        group = typer.Typer(help=help, no_args_is_help=True, rich_markup_mode=None)
        for command in commands:
            group.command(command.__name__.partition("_")[0])(expanded(command))
        app.add_typer(group, name=name)
    letters.register(app)
    budgets.register(app)
    schemas.register(app)


def apply(
    stack: Stack,
    grow: Annotated[bool, typer.Option("--grow", help="Add the partitions that existing topics lack.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 when an existing topic differs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Create missing topics and say what differs from the table. Deletes none, and changes none without --grow."""
    from cli._target import find
    from connectors.kafka.admin import apply as apply_table
    from connectors.kafka.admin import grow as add_partitions
    from topics.table import with_tenants

    settings = find(stack).settings
    table = with_tenants(settings.tenants_with_topics)
    if grow:
        add_partitions(settings, table)
    reports = apply_table(settings, table)
    if as_json:
        print_json([{"name": r.name, "state": r.state, "differences": r.differences} for r in reports])
    else:
        print_table(("topic", "state", "differences"), [(r.name, r.state, "; ".join(r.differences)) for r in reports])
    if strict and any(report.state == "differs" for report in reports):
        raise typer.Exit(1)


def migrate(stack: Stack) -> None:
    """Bring PostgreSQL and ClickHouse to this version. Safe to repeat, and from several machines at once."""
    from cli._target import find
    from connectors.clickhouse.migrate import upgrade as upgrade_clickhouse
    from connectors.postgres.migrate import upgrade as upgrade_postgres

    settings = find(stack).settings
    upgrade_postgres(settings.database_url.get_secret_value())
    print("PostgreSQL is up to date")
    upgrade_clickhouse(settings.clickhouse_url.get_secret_value())
    print("ClickHouse is up to date")


def create_tenant(
    stack: Stack,
    name: Annotated[str, typer.Argument(help="Letters, digits, '.', '_' and '-'.")],
    own: TenantOptions,
    limits: LimitOptions = LimitOptions(),
    if_missing: Annotated[bool, typer.Option("--if-missing", help="No error when it exists.")] = False,
) -> None:
    """Create a tenant; its requests are accepted from now on."""
    from cli import _accounts
    from domain.accounts.model import Tenant

    _accounts.create_tenant(stack, Tenant(name, **asdict(limits), **vars(own)), if_missing)


def limit_tenant(
    stack: Stack,
    name: Annotated[str, typer.Argument(help="As `tenants list` shows it.")],
    limits: LimitOptions = LimitOptions(),
    plan: PlanOf = None,
    clear: Clear = False,
) -> None:
    """Give a tenant other limits, or another plan; within 5 s everywhere."""
    from cli import _accounts

    _accounts.limit_tenant(stack, name, limits, plan, clear)


def set_plan(
    stack: Stack,
    name: Annotated[str, typer.Argument(help="What tenants name it by.")],
    limits: LimitOptions = LimitOptions(),
) -> None:
    """Create a plan, or give it other limits: what is not given is not limited by it."""
    from cli import _accounts

    _accounts.set_plan(stack, name, limits)


def list_plans(stack: Stack, as_json: AsJson = False) -> None:
    """Every plan with its limits."""
    from cli import _accounts

    _accounts.list_plans(stack, as_json)


def list_tenants(stack: Stack, as_json: AsJson = False) -> None:
    """Every tenant with its limits."""
    from cli import _accounts

    _accounts.list_tenants(stack, as_json)


def create_key(
    stack: Stack,
    tenant: Tenant = None,
    name: Annotated[str, typer.Option(help="What it is for.")] = "cli",
    scope: Scopes = None,
    limits: LimitOptions = LimitOptions(),
    as_json: AsJson = False,
) -> None:
    """Create an API key. It is printed once and stored only as a keyed hash."""
    from cli import _accounts

    _accounts.create_key(stack, tenant, name, scope or (), limits, as_json)


def limit_key(
    stack: Stack,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it: key_…")],
    tenant: Tenant = None,
    limits: LimitOptions = LimitOptions(),
    clear: Clear = False,
) -> None:
    """Give a key limits of its own, beside its tenant's; within 5 s everywhere."""
    from cli import _accounts

    _accounts.limit_key(stack, tenant, id, limits, clear)


def revoke_key(
    stack: Stack,
    id: Annotated[str, typer.Argument(metavar="ID", help="As `keys list` shows it: key_…")],
    tenant: Tenant = None,
) -> None:
    """Refuse a key from now on, within 5 s everywhere."""
    from cli import _accounts

    _accounts.revoke_key(stack, tenant, id)


def list_keys(stack: Stack, tenant: Tenant = None, as_json: AsJson = False) -> None:
    """The keys of a tenant: never the secret, only its first characters."""
    from cli import _accounts

    _accounts.list_keys(stack, tenant, as_json)
